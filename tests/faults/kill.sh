#!/usr/bin/env bash
# kill -9 at every system call of a save, with rotation and log: the old or the new checkpoint verifies, and the run goes on to
# the very bytes of one that was never killed.
here=$(cd "$(dirname "$0")" && pwd); . "$here/lib.sh"
cd "$work" || exit 1
exec 2> stderr.log # the shell names every process that was killed
make_project "$work"
"$HANDGRAD" train c.ini --out ref --stop-at 4 > /dev/null || exit 1
"$HANDGRAD" train c.ini --out base --stop-at 2 > /dev/null || exit 1

# sweep NAME [VARIABLE=VALUE]: prints the counts; lost, alive
sweep() {
    local call n tried=0
    lost=0 alive=0
    rm -rf run && cp -r base run
    env "$@" strace -f -qq -o log "$HANDGRAD" train --out run --resume --stop-at 3 > /dev/null 2>&1
    calls_of_save log > calls
    while read -r call n; do
        tried=$((tried + 1))
        [ "$LONG" = 0 ] && [ $((tried % stride)) -ne 0 ] && continue
        rm -rf run && cp -r base run
        env "$@" strace -f -qq -o /dev/null -e inject="$call:signal=KILL:when=$n" \
            "$HANDGRAD" train --out run --resume --stop-at 3 > /dev/null 2>&1
        case $? in 137) ;; 1) reader=$((reader + 1)) ;; *) alive=$((alive + 1)) ;; esac
        killed=$((killed + 1))
        resumes_to run 4 ref/ckpt-4.h5 || { lost=$((lost + 1)); echo "# lost at $call $n: $(tail -n 1 resume.log)"; }
        [ "$(temporaries run 'ckpt-*')" = 0 ] || { left=$((left + 1)); echo "# left after $call $n: $(find run -name ".ckpt-*.tmp")"; }
    done < calls
}
killed=0 left=0 reader=0 stride=4
sweep A=a
ok $((lost + (killed < 10))) "killed at $killed of $(wc -l < calls) system calls of a save ($(cut -d' ' -f1 calls | sort -u | wc -l) names): $lost lost"
ok $((alive > killed / 10)) "of these $((killed - alive - reader)) killed the run, $reader the process that reads the file, which the run told; $alive hit nothing"
ok "$left" "temporary checkpoints left after the next run: $left"

# The control: a save that removes the old file first, with nothing else to fall back to, loses some.
rm -rf base ref single; mkdir single
"$HANDGRAD" init c.ini -o single/m.h5 > /dev/null
FAULT=unlink-first LD_PRELOAD="$TOOLS/shim.so" strace -f -qq -o log "$HANDGRAD" init c.ini -o single/m.h5 > /dev/null 2>&1
calls_of_save log > calls
for fault in none unlink-first; do
    lost=0 killed=0 alive=0
    while read -r call n; do
        "$HANDGRAD" init c.ini -o single/m.h5 > /dev/null
        FAULT=$fault LD_PRELOAD="$TOOLS/shim.so" strace -f -qq -o /dev/null -e inject="$call:signal=KILL:when=$n" \
            "$HANDGRAD" init c.ini -o single/m.h5 > /dev/null 2>&1
        [ $? = 137 ] || alive=$((alive + 1))
        killed=$((killed + 1))
        "$HANDGRAD" inspect --verify single/m.h5 > /dev/null 2>&1 || lost=$((lost + 1))
        rm -f single/.*.tmp
    done < calls
    if [ $fault = none ]; then ok $((lost + alive)) "a single file killed at $killed system calls of its save: $alive lived, $lost lost"
    else ok $((lost == 0)) "control: a save that removes the old file first is caught ($lost of $killed lost)"; fi
done
exit $failed
