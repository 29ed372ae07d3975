#!/usr/bin/env bash
# Power loss. During a save of a single file: in every state that the disk could be left in, the
# file is the old or the new one, and verifies. During a run that saves after each step, with
# rotation and best.h5: in every such state of the directory, --resume finds the last finished save
# or a newer one, and ends with the same bytes as an uninterrupted run.
here=$(cd "$(dirname "$0")" && pwd); . "$here/lib.sh"
cd "$work" || exit 1
make_project "$work"
replay() { # FAULT
    rm -rf states && mkdir states
    "$HANDGRAD" init c.ini --set train.seed=1 -o m.h5 > /dev/null 2>&1 || "$HANDGRAD" init c.ini -o m.h5 > /dev/null
    cp m.h5 old.h5
    sed 's/^steps.*/steps = 41/' c.ini > other.ini
    FAULT=$1 LD_PRELOAD="$TOOLS/shim.so" strace -f -qq -o log -e trace=openat,write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,close \
        "$HANDGRAD" init other.ini -o m.h5 > /dev/null 2>&1
    counts=$(perl "$here/power.pl" log old.h5 m.h5 states)
    lost=0
    for s in states/*; do
        "$HANDGRAD" inspect --verify "$s" > /dev/null 2>&1 && { cmp -s "$s" old.h5 || cmp -s "$s" m.h5; } || lost=$((lost + 1))
    done
}
replay none
ok $((lost + (${#counts} == 0))) "power loss: $counts, $lost lost"
replay no-fsync
ok $((lost == 0)) "control: a save without fsync is detected ($counts, $lost lost)"

# --- a run ---
last=8 keep=2
"$HANDGRAD" train c.ini --out ref --set train.eval_every=2 --set train.sample_tokens=0 --stop-at $last > /dev/null || exit 1

# Prints what is wrong with a directory from the list of rotation.pl: STEP COUNT BEST NAME=ID…
judge() {
    local step=$1 count=$2 best=$3 newest=-1 good=0 has_best=0 f name
    shift 3
    for f in "$@"; do
        name=${f%=*}
        case $name in
        best.h5) has_best=${verifies[${f#*=}]} ;;
        ckpt-*.h5) if [ "${verifies[${f#*=}]}" = 1 ]; then
            good=$((good + 1)) name=${name#ckpt-} name=${name%.h5}
            [ "$name" -gt $newest ] && newest=$name
        fi ;;
        esac
    done
    [ $newest -ge "$step" ] || { echo "the newest valid checkpoint is $newest, but $step was finished"; return; }
    [ $good -ge "$count" ] || { echo "$good checkpoints verify, expected at least $count"; return; }
    [ $has_best -ge "$best" ] || echo "best.h5 is lost"
}
resumes() { # NAME=ID…: the run resumes and ends like the reference
    rm -rf cut && mkdir cut
    for f in "$@"; do cp "states/files/${f#*=}" "cut/${f%=*}"; done
    resumes_to cut $last ref/ckpt-$last.h5 && cmp -s cut/best.h5 ref/best.h5 && [ "$(wc -l < cut/metrics.jsonl)" = $last ]
}
replay_run() { # FAULT EVERY [RESUME]: at every EVERY-th call; with RESUME, also resumes the run
    rm -rf run states && mkdir -p states/files
    FAULT=$1 LD_PRELOAD="$TOOLS/shim.so" strace -f -qq -y -xx -s 99999999 -o log \
        -e trace=mkdir,openat,write,pwrite64,ftruncate,fsync,fdatasync,rename,unlink,close \
        "$HANDGRAD" train c.ini --out "$work/run" --set train.eval_every=2 --set train.sample_tokens=0 --stop-at $last > /dev/null 2>&1
    counts=$(perl "$here/rotation.pl" log "$work/run" states $keep "$2")
    unset verifies; declare -gA verifies
    for f in states/files/*; do
        "$HANDGRAD" inspect --verify "$f" > /dev/null 2>&1; verifies[${f##*/}]=$((!$?))
    done
    lost=0 distinct=0 resumed=0
    while read -r step count best files; do
        distinct=$((distinct + 1))
        why=$(judge "$step" "$count" "$best" $files)
        if [ -n "$3" ] && [ -z "$why" ] && [ "$step" -ge 0 ]; then
            resumed=$((resumed + 1))
            resumes $files || why="--resume: $(tail -n 1 resume.log)"
        fi
        [ -z "$why" ] || { lost=$((lost + 1)); [ -z "$3" ] || echo "# lost: $why: $step $count $best $files"; }
    done < states/directories
}
replay_run none 1 resume
ok $((lost + (resumed < 50))) "power loss during a run, keep = $keep: $counts; $distinct distinct, $resumed resumed, $lost lost"
for fault in no-fsync no-directory-fsync; do
    replay_run $fault 10 ""
    ok $((lost == 0)) "control: a run with $fault is detected ($distinct distinct directories, $lost lost)"
done
exit $failed
