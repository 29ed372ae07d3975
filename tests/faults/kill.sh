#!/usr/bin/env bash
# kill -9 at every system call of a save with rotation: the old or the new checkpoint verifies, and
# the resumed run ends with the same bytes as one that was never killed.
here=$(cd "$(dirname "$0")" && pwd); . "$here/lib.sh"
cd "$work" || exit 1
exec 2> stderr.log # the shell reports every killed process
make_project "$work" 96
"$HANDGRAD" train c.ini --out ref --stop-at 4 > /dev/null || exit 1
"$HANDGRAD" train c.ini --out base --stop-at 2 > /dev/null || exit 1

# Saves are written by threads, whose calls strace cannot count separately (when=N counts per
# thread). The shim counts them, from the creation of the temporary file to the removal of the
# oldest checkpoint, and kills at call N.
rm -rf run && cp -r base run
FAULT_COUNT=calls LD_PRELOAD="$TOOLS/shim.so" "$HANDGRAD" train --out run --resume --stop-at 4 > /dev/null
sed -i 1d calls # the allocations
total=$(wc -l < calls) killed=0 lost=0 left=0
for n in $(seq 1 "$total"); do
    rm -rf run && cp -r base run
    FAULT=kill:$n LD_PRELOAD="$TOOLS/shim.so" "$HANDGRAD" train --out run --resume --stop-at 4 > /dev/null 2>&1
    [ $? = 137 ] && killed=$((killed + 1))
    resumes_to run 4 ref/ckpt-4.h5 || { lost=$((lost + 1)); echo "# lost at call $n, $(sed -n "${n}p" calls): $(tail -n 1 resume.log)"; }
    [ "$(temporaries run 'ckpt-*')" = 0 ] || { left=$((left + 1)); echo "# left after call $n"; }
done
ok $((lost + (total < 20) + (killed != total))) "two saves with rotation, at each of $total calls ($(sort -u calls | tr '\n' ' ')): $killed killed, $lost lost"
ok $(($(grep -c unlink calls) < 2)) "$(grep -c unlink calls) of these calls remove old checkpoints"
ok "$left" "temporary checkpoints left after the next run: $left"

# Control: a save that removes the old file first, without another to fall back to, loses files.
rm -rf base ref single; mkdir single
"$HANDGRAD" init c.ini -o single/m.h5 > /dev/null
made() { # CALL N: whether a thread in log2 made the call N times
    awk -v c="$1" -v n="$2" '{ pid = $1; sub(/^[0-9]+ +/, "") } index($0, c "(") == 1 && ++count[pid] >= n { found = 1 } END { exit !found }' log2
}
for fault in none unlink-first; do
    FAULT=$fault LD_PRELOAD="$TOOLS/shim.so" strace -f -qq -o log "$HANDGRAD" init c.ini -o single/m.h5 > /dev/null 2>&1
    calls_of_save log > calls
    lost=0 killed=0 survived=0
    while read -r call n; do
        "$HANDGRAD" init c.ini -o single/m.h5 > /dev/null
        FAULT=$fault LD_PRELOAD="$TOOLS/shim.so" strace -f -qq -o log2 -e inject="$call:signal=KILL:when=$n" \
            "$HANDGRAD" init c.ini -o single/m.h5 > /dev/null 2>&1
        if [ $? = 137 ]; then killed=$((killed + 1))
        elif made "$call" "$n"; then survived=$((survived + 1)); echo "# survived: $call $n"
        fi # otherwise the call was not made: the number of brk calls depends on the start of the heap
        "$HANDGRAD" inspect --verify single/m.h5 > /dev/null 2>&1 || lost=$((lost + 1))
        rm -f single/.*.tmp
    done < calls
    if [ $fault = none ]; then
        ok $((lost + survived + (killed < 30))) "a single file, killed at $killed of $(wc -l < calls) system calls of its save: $survived survived, $lost lost"
    else ok $((lost == 0 || lost > killed)) "control: a save that removes the old file first is detected ($lost of $killed lost)"; fi
done
exit $failed
