#!/usr/bin/env bash
# Errors of the disk while a run goes on: training does, the line comes within a step, the files before stand, the save is tried
# again; the end is that of a run that met no error, byte for byte. One error at each call of a save; all calls from one on; a disk that is
# full for a while (4 seconds; LONG=1: a minute).
here=$(cd "$(dirname "$0")" && pwd); . "$here/lib.sh"
cd "$work" || exit 1
exec 2> stderr.log
make_project "$work" 96
"$HANDGRAD" train c.ini --out ref --stop-at 6 > /dev/null || exit 1
"$HANDGRAD" train c.ini --out base --stop-at 2 > /dev/null || exit 1
same_as_ref() { cmp -s run/ckpt-6.h5 ref/ckpt-6.h5 && [ "$(wc -l < run/metrics.jsonl)" = 6 ] && [ "$(temporaries run)" = 0 ]; }

cp -r base run
FAULT_COUNT=calls LD_PRELOAD="$TOOLS/shim.so" "$HANDGRAD" train --out run --resume --stop-at 6 > /dev/null
sed -i 1d calls # of the writer's thread, in their order (shim.c)
planted=0 bad=0 told=0
for n in $(seq 1 $((LONG ? 1 : 3)) "$(wc -l < calls)"); do
    for e in 5 28; do # EIO, ENOSPC
        rm -rf run && cp -r base run
        FAULT=error:$n:$e LD_PRELOAD="$TOOLS/shim.so" "$HANDGRAD" train --out run --resume --stop-at 6 > out.log 2> err.log
        code=$? planted=$((planted + 1))
        grep -q 'training goes on and it is tried again\|older checkpoints stay' err.log && told=$((told + 1))
        [ $code = 0 ] && same_as_ref || { bad=$((bad + 1)); echo "# call $n, $(sed -n "${n}p" calls), error $e: status $code: $(tail -n 1 err.log)"; }
    done
done
ok $((bad + (planted < 20) + (told < planted / 4))) "one error in a save, at $planted places: $told told, the others without harm; all trained to the same end: $bad did not"

# A disk that refuses to be written to directly is written to through the page cache, and nobody needs to know.
rm -rf run && cp -r base run
strace -f -qq -e trace=fcntl -o log "$HANDGRAD" train --out run --resume --stop-at 6 > /dev/null
rm -rf run && cp -r base run
FAULT=error:$(grep -n -m1 ^write calls | cut -d: -f1):22 LD_PRELOAD="$TOOLS/shim.so" "$HANDGRAD" train --out run --resume --stop-at 6 > out.log 2> err.log
code=$?
[ $code = 0 ] && { grep -q O_DIRECT log || ! dd if=/dev/zero of=probe bs=4096 count=1 oflag=direct; } && [ ! -s err.log ] && same_as_ref
ok $? "a disk that takes no direct write (EINVAL): the same end, status $code"

# From one call on nothing is ever written again: exit 1, and what was there before is there.
bad=0 planted=0
for call in open write fsync rename; do
    rm -rf run && cp -r base run
    n=$(grep -n -m1 "^$call" calls | cut -d: -f1)
    FAULT=error-from:$n:28 LD_PRELOAD="$TOOLS/shim.so" "$HANDGRAD" train --out run --resume --stop-at 6 > /dev/null 2> err.log
    code=$?; planted=$((planted + (n > 0)))
    [ $code = 1 ] && grep -q 'training goes on and it is tried again' err.log && "$HANDGRAD" inspect --verify run/ckpt-2.h5 > /dev/null &&
        cmp -s run/ckpt-2.h5 base/ckpt-2.h5 && resumes_to run 6 ref/ckpt-6.h5 && [ "$(temporaries run)" = 0 ] ||
        { bad=$((bad + 1)); echo "# from call $n, $call: status $code: $(cat err.log)"; }
done
ok $((bad + (planted < 4))) "$planted errors that do not go away: told, exit 1, the old checkpoint stands and resumes: $bad failed"

if mkdir -p disk && mount -t tmpfs -o size=$((LONG ? 256 : 32))m tmpfs disk; then # room for the metrics of a minute and more
    trap 'cd /; umount "$work/disk" 2>/dev/null; chmod -R u+w "$work"; rm -rf "$work"' EXIT
    sed -i 's/^accumulate.*/accumulate = 1/; s/^steps.*/steps = 100000000/; s/^checkpoint_every.*/checkpoint_every = 500/; s/^eval_every.*/eval_every = 0/' c.ini
    "$HANDGRAD" train c.ini --out disk/run > out.log 2> err.log & pid=$!
    sleep 1; head -c 300m /dev/zero > disk/filler; sleep $((LONG ? 60 : 4))
    kill -0 $pid && grep -q 'No space left' err.log && [ "$(temporaries disk/run)" = 0 ] && newest=$(ls -v disk/run/ckpt-*.h5 | tail -n 1) &&
        "$HANDGRAD" inspect --verify "$newest" > /dev/null
    ok $? "disk full: told ($(grep -c . err.log) lines), training goes on, $(basename "${newest:-none}") verifies, no temporary file"
    before=$(ls -v disk/run/ckpt-*.h5 | tail -n 1)
    rm disk/filler
    for i in $(seq 70); do sleep 1; grep -q 'saved after all' out.log && break; done # tried again after 1, 2, 4 … 60 seconds
    sleep 1
    grep -q 'saved after all' out.log && [ "$(ls -v disk/run/ckpt-*.h5 | tail -n 1)" != "$before" ]
    ok $? "space again: saved after all"
    kill -TERM $pid; wait $pid; code=$?
    last=$(ls -v disk/run/ckpt-*.h5 | tail -n 1) step=${last##*-}; step=${step%.h5}
    "$HANDGRAD" train c.ini --out whole --stop-at "$step" > /dev/null
    [ $code = 0 ] && [ "$(wc -l < disk/run/metrics.jsonl)" = "$step" ]
    ok $? "stopped with status $code $(tail -n 1 err.log); metrics have a line for each of $step steps: $(wc -l < disk/run/metrics.jsonl)"
    "$HANDGRAD" inspect "$last" > a.txt; "$HANDGRAD" inspect "whole/ckpt-$step.h5" > b.txt
    cmp -s <(tail -n +2 a.txt) <(tail -n +2 b.txt)
    ok $? "the weights are those of a run that met no full disk"
else
    echo "# no tmpfs can be mounted here: a disk that is full for a while was left out"
fi
exit $failed
