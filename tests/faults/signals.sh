#!/usr/bin/env bash
# A signal may arrive between any two instructions, and the frame of its handler must not overwrite
# data: a run that receives SIGUSR1 hundreds of times ends with status 0 and the same weights as one
# that received none. (oneDNN up to at least version 3.11.1 uses the stack pointer for an array on
# the heap: base/stop.c.)
here=$(cd "$(dirname "$0")" && pwd); . "$here/lib.sh"
cd "$work" || exit 1
exec 2> stderr.log
make_project "$work" 96
steps=$((LONG ? 40000 : 4000))
sed -i "s/^steps.*/steps = $steps/; s/^checkpoint_every.*/checkpoint_every = 1000/; s/^eval_every.*/eval_every = 0/; s/^accumulate.*/accumulate = 1/" c.ini
"$HANDGRAD" train c.ini --out ref > /dev/null || exit 1
"$HANDGRAD" train c.ini --out run > out.log 2> err.log & pid=$!
until [ -s run/metrics.jsonl ] || ! kill -0 $pid; do sleep 0.01; done # the handlers are installed
max=$((LONG ? 20000 : 1000)) sent=0
while [ $sent -lt $max ] && kill -USR1 $pid; do sent=$((sent + 1)); sleep 0.002; done
wait $pid; code=$?
[ $code = 0 ]
ok $? "$sent signals during $steps steps: status $code $(tail -n 1 err.log)"
cmp -s "run/ckpt-$steps.h5" "ref/ckpt-$steps.h5"
ok $? "the same weights"
saved=$(grep -c '^saved: ' out.log)
ok $((sent < 300 || saved < 30)) "$sent signals were sent, $saved checkpoints were saved"
exit $failed
