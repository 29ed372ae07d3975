#!/usr/bin/env bash
# Power loss. During a save of a single file: on every disk that it could leave, the file is the old one or the new one, and verifies. During
# a run that saves after each step, with rotation and best.h5: in every folder that it could leave, --resume finds the newest save that was
# finished or a newer one, and goes on from it to the very bytes of a run that was not cut.
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
ok $((lost == 0)) "control: a save without fsync is caught ($counts, $lost lost)"

# --- a run ---
last=8 keep=2
"$HANDGRAD" train c.ini --out ref --set train.eval_every=2 --set train.sample_tokens=0 --stop-at $last > /dev/null || exit 1

# What is wrong with a folder of the list that rotation.pl made, if anything is: STEP COUNT BEST NAME=ID…
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
    [ $newest -ge "$step" ] || { echo "the newest that verifies is $newest, $step was finished"; return; }
    [ $good -ge "$count" ] || { echo "$good verify, of $count at least"; return; }
    [ $has_best -ge "$best" ] || echo "best.h5 is lost"
}
resumes() { # NAME=ID…: a run is there, and goes on as if nothing had been
    rm -rf cut && mkdir cut
    for f in "$@"; do cp "folders/files/${f#*=}" "cut/${f%=*}"; done
    resumes_to cut $last ref/ckpt-$last.h5 && cmp -s cut/best.h5 ref/best.h5 && [ "$(wc -l < cut/metrics.jsonl)" = $last ]
}
replay_run() { # FAULT EVERY [RESUME]: at every so many-th call; also resumes every folder that is not lost
    rm -rf run folders && mkdir -p folders/files
    FAULT=$1 LD_PRELOAD="$TOOLS/shim.so" strace -f -qq -y -xx -s 99999999 -o log \
        -e trace=mkdir,openat,write,pwrite64,ftruncate,fsync,fdatasync,rename,unlink,close \
        "$HANDGRAD" train c.ini --out "$work/run" --set train.eval_every=2 --set train.sample_tokens=0 --stop-at $last > /dev/null 2>&1
    counts=$(perl "$here/rotation.pl" log "$work/run" folders $keep "$2")
    unset verifies; declare -gA verifies
    for f in folders/files/*; do
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
    done < folders/folders
}
replay_run none 1 resume
ok $((lost + (resumed < 50))) "power loss during a run, keep = $keep: $counts; $distinct distinct, $resumed of a run that had begun resumed, $lost lost"
for fault in no-fsync no-folder-fsync; do
    replay_run $fault 10 ""
    ok $((lost == 0)) "control: a run with $fault is caught ($distinct distinct folders, $lost lost)"
done
exit $failed
