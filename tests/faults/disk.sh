#!/usr/bin/env bash
# Disk errors during a run: training continues, the error is reported within a step, existing files
# are kept, the save is retried, and the run ends with the same bytes as one without errors. Tested:
# one error at each call of a save; errors from one call on; a disk that is full for 4 seconds
# (LONG=1: a minute).
here=$(cd "$(dirname "$0")" && pwd); . "$here/lib.sh"
cd "$work" || exit 1
exec 2> stderr.log
make_project "$work" 96
"$HANDGRAD" train c.ini --out ref --stop-at 6 > /dev/null || exit 1
"$HANDGRAD" train c.ini --out base --stop-at 2 > /dev/null || exit 1
same_as_ref() { cmp -s run/ckpt-6.h5 ref/ckpt-6.h5 && [ "$(wc -l < run/metrics.jsonl)" = 6 ] && [ "$(temporaries run)" = 0 ]; }

cp -r base run
FAULT_COUNT=calls LD_PRELOAD="$TOOLS/shim.so" "$HANDGRAD" train --out run --resume --stop-at 6 > /dev/null
sed -i 1d calls # calls of the writer threads, in order (shim.c)
planted=0 bad=0 reported=0
for n in $(seq 1 $((LONG ? 1 : 3)) "$(wc -l < calls)"); do
    for e in 5 28; do # EIO, ENOSPC
        rm -rf run && cp -r base run
        FAULT=error:$n:$e LD_PRELOAD="$TOOLS/shim.so" "$HANDGRAD" train --out run --resume --stop-at 6 > out.log 2> err.log
        code=$? planted=$((planted + 1))
        grep -q 'training continues and the save will be retried\|older checkpoints are kept' err.log && reported=$((reported + 1))
        [ $code = 0 ] && same_as_ref || { bad=$((bad + 1)); echo "# call $n, $(sed -n "${n}p" calls), error $e: status $code: $(tail -n 1 err.log)"; }
    done
done
ok $((bad + (planted < 20) + (reported < planted / 4))) "one error in a save, at $planted places: $reported reported, the others harmless; $bad runs did not end the same"

# If a disk refuses direct writes, the page cache is used, without a message.
rm -rf run && cp -r base run
strace -f -qq -e trace=fcntl -o log "$HANDGRAD" train --out run --resume --stop-at 6 > /dev/null
rm -rf run && cp -r base run
FAULT=error:$(grep -n -m1 ^write calls | cut -d: -f1):22 LD_PRELOAD="$TOOLS/shim.so" "$HANDGRAD" train --out run --resume --stop-at 6 > out.log 2> err.log
code=$?
[ $code = 0 ] && { grep -q O_DIRECT log || ! dd if=/dev/zero of=probe bs=4096 count=1 oflag=direct; } && [ ! -s err.log ] && same_as_ref
ok $? "a disk without direct writes (EINVAL): the same end, status $code"

# If nothing can be written from one call on: exit 1, and the existing files are kept.
bad=0 planted=0
for call in open write fsync rename; do
    rm -rf run && cp -r base run
    n=$(grep -n -m1 "^$call" calls | cut -d: -f1)
    FAULT=error-from:$n:28 LD_PRELOAD="$TOOLS/shim.so" "$HANDGRAD" train --out run --resume --stop-at 6 > /dev/null 2> err.log
    code=$?; planted=$((planted + (n > 0)))
    [ $code = 1 ] && grep -q 'training continues and the save will be retried' err.log && "$HANDGRAD" inspect --verify run/ckpt-2.h5 > /dev/null &&
        cmp -s run/ckpt-2.h5 base/ckpt-2.h5 && resumes_to run 6 ref/ckpt-6.h5 && [ "$(temporaries run)" = 0 ] ||
        { bad=$((bad + 1)); echo "# from call $n, $call: status $code: $(cat err.log)"; }
done
ok $((bad + (planted < 4))) "$planted permanent errors: reported, exit 1, the old checkpoint is kept and resumes: $bad failed"

if mkdir -p disk && mount -t tmpfs -o size=$((LONG ? 256 : 32))m tmpfs disk; then # enough for the metrics of more than a minute
    trap 'cd /; umount "$work/disk" 2>/dev/null; chmod -R u+w "$work"; rm -rf "$work"' EXIT
    sed -i 's/^accumulate.*/accumulate = 1/; s/^steps.*/steps = 100000000/; s/^checkpoint_every.*/checkpoint_every = 500/; s/^eval_every.*/eval_every = 0/' c.ini
    "$HANDGRAD" train c.ini --out disk/run > out.log 2> err.log & pid=$!
    sleep 1; head -c 300m /dev/zero > disk/filler; sleep $((LONG ? 60 : 4))
    kill -0 $pid && grep -q 'No space left' err.log && [ "$(temporaries disk/run)" = 0 ] && newest=$(ls -v disk/run/ckpt-*.h5 | tail -n 1) &&
        "$HANDGRAD" inspect --verify "$newest" > /dev/null
    ok $? "disk full: reported ($(grep -c . err.log) lines), training continues, $(basename "${newest:-none}") verifies, no temporary file"
    before=$(ls -v disk/run/ckpt-*.h5 | tail -n 1)
    rm disk/filler
    for i in $(seq 70); do sleep 1; grep -q 'saved at last' out.log && break; done # retried after 1, 2, 4 … 60 seconds
    sleep 1
    grep -q 'saved at last' out.log && [ "$(ls -v disk/run/ckpt-*.h5 | tail -n 1)" != "$before" ]
    ok $? "space available again: saved"
    kill -TERM $pid; wait $pid; code=$?
    last=$(ls -v disk/run/ckpt-*.h5 | tail -n 1) step=${last##*-}; step=${step%.h5}
    "$HANDGRAD" train c.ini --out whole --stop-at "$step" > /dev/null
    [ $code = 0 ] && [ "$(wc -l < disk/run/metrics.jsonl)" = "$step" ]
    ok $? "stopped with status $code; metrics have $(wc -l < disk/run/metrics.jsonl) lines for $step steps; last error: $(tail -n 1 err.log)"
    "$HANDGRAD" inspect "$last" > a.txt; "$HANDGRAD" inspect "whole/ckpt-$step.h5" > b.txt
    cmp -s <(tail -n +2 a.txt) <(tail -n +2 b.txt)
    ok $? "the weights are those of a run without a full disk"
else
    echo "# skipped, as no tmpfs can be mounted: a disk that is full for a while"
fi
exit $failed
