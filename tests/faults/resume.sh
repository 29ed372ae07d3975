#!/usr/bin/env bash
# A run that is killed repeatedly, by SIGKILL or SIGTERM at random times, ends with the same
# checkpoint and metrics as an uninterrupted one. Control: another seed gives other metrics.
here=$(cd "$(dirname "$0")" && pwd); . "$here/lib.sh"
cd "$work" || exit 1
exec 2> stderr.log
make_project "$work"
rounds=$(( LONG ? 300 : 25 )) steps=$(( LONG ? 40000 : 4000 ))
sed -i "s/^steps.*/steps = $steps/; s/^checkpoint_every.*/checkpoint_every = 20/; s/^eval_every.*/eval_every = 100/" c.ini
"$HANDGRAD" train c.ini --out ref > /dev/null || exit 1
"$HANDGRAD" train c.ini --out run --stop-at 1 > /dev/null || exit 1
RANDOM=1 signalled=0 died=0
while [ $signalled -lt $rounds ]; do
    "$HANDGRAD" train --out run --resume > log 2>&1 & pid=$!
    sleep "0.$(printf '%03d' $((30 + RANDOM % 400)))"
    signal=$((RANDOM % 2 ? 9 : 15))
    kill -$signal $pid 2> /dev/null && signalled=$((signalled + 1))
    wait $pid; code=$?
    [ $code = 0 ] && [ -e "run/ckpt-$steps.h5" ] && break
    # 143: a SIGTERM before the handler is installed
    [ $code = 0 ] || [ $code = 137 ] || [ $code = 143 ] || { echo "# status $code: $(tail -n 1 log)"; died=1; break; }
done
"$HANDGRAD" train --out run --resume > log 2>&1
strip() { sed -E 's/, "(tokens_per_s|mfu|stall_s)": [^,}]*//g' "$1"; } # without speed and waiting times
cmp -s "run/ckpt-$steps.h5" "ref/ckpt-$steps.h5"
ok $? "$signalled rounds of SIGKILL and SIGTERM over $steps steps: the last checkpoint has the same bytes"
cmp -s <(strip run/metrics.jsonl) <(strip ref/metrics.jsonl)
ok $? "the same metrics except for the speed ($(wc -l < run/metrics.jsonl) lines)"
ok $((died || signalled < (LONG ? 300 : 5))) "interrupted $signalled times, and never ended otherwise"
"$HANDGRAD" train c.ini --set train.seed=1338 --out other --stop-at 20 > /dev/null
"$HANDGRAD" train c.ini --out same --stop-at 20 > /dev/null
! cmp -s <(strip other/metrics.jsonl) <(strip same/metrics.jsonl)
ok $? "control: another seed gives other metrics"
exit $failed
