#!/usr/bin/env bash
# The commands from end to end: from text to a trained model, stop, resume, kill, generate; and their
# error messages. Prints "ok - …" or "not ok - …" for each check.
set -u
cd "$(dirname "$0")/../../.." || exit 1
. tests/checks.bash

# A text with enough structure to learn; no two lines are equal.
awk 'BEGIN { srand(7); for (i = 0; i < 400; i++) printf "line %d: the %s of %c is née %d\n", i, (i % 3 ? "weight" : "bias"), 97 + i % 26, int(rand() * 1000) }' >text.txt
cat >small.ini <<'EOF'
[model]
n_layer = 2
n_head = 2
n_embd = 24
block_size = 16
dropout = 0.1
[data]
dir = data
order = shuffled
[optim]
lr = 3e-3
warmup = 4
[train]
batch_size = 4
accumulate = 2
steps = 24
eval_every = 8
checkpoint_every = 8
keep = 3
seed = 5
EOF
train() { "$HANDGRAD" train small.ini "$@"; }
# metrics without the fields that depend on the clock
metrics() { sed -E 's/, "(tokens_per_s|mfu|stall_s)": [^,}]+//g' "$1/metrics.jsonl"; }
same_metrics() { diff <(metrics "$1") <(metrics "$2"); }
value() { sed -nE "s/.*\"$2\": *([-0-9.e+]+).*/\1/p" <<<"$1"; }
close() { awk -v a="$1" -v b="$2" -v t="$3" 'BEGIN { d = a - b; if (d < 0) d = -d; exit !(a != "" && b != "" && d <= t) }'; }

# --- from text to a trained model ---
check "tokenize" "$HANDGRAD" tokenize text.txt -o data --tokenizer char
check "train" train --out whole
check "the run folder and its parents are created" train --out a/new/run --stop-at 1
check "checkpoints are rotated, best.h5 is kept" test "$(ls whole)" = "$(printf '%s\n' best.h5 ckpt-16.h5 ckpt-24.h5 ckpt-8.h5 config.ini metrics.jsonl report.html samples.jsonl starts.jsonl tensors.jsonl)"
check "one line of metrics per step" test "$(wc -l <whole/metrics.jsonl)" -eq 24
check "inspect --verify" "$HANDGRAD" inspect whole/ckpt-24.h5 --verify

check "--stop-at 12" train --out half --stop-at 12
check "resume" train --out half --resume
check "a stopped and resumed run has the same checkpoint" cmp whole/ckpt-24.h5 half/ckpt-24.h5
check "… and the same metrics" same_metrics whole half
check "resume without CONFIG" "$HANDGRAD" train --out half --resume

# Ctrl-C and SIGTERM: exit status 0, and no work is lost
interrupt() {
    "$HANDGRAD" train long.ini --out "$2" >"$2.log" 2>&1 &
    local pid=$! i
    for i in $(seq 1200); do
        [ -e "$2/metrics.jsonl" ] && [ "$(wc -l <"$2/metrics.jsonl")" -ge 3 ] && break
        sleep 0.05
    done
    kill -"$1" $pid
    wait $pid
}
sed 's/steps = 24/steps = 2000000/; s/_every = 8/_every = 1000/' small.ini >long.ini
for signal in INT TERM; do
    interrupt $signal int-$signal
    code=$?
    check "SIG$signal exits 0" test $code -eq 0
    check "SIG$signal names the checkpoint to resume from" grep -q "resume continues from" int-$signal.log
    step=$(tail -n 1 int-$signal/metrics.jsonl | sed -nE 's/.*"step": ([0-9]+).*/\1/p')
    check "resume after SIG$signal" "$HANDGRAD" train long.ini --out int-$signal --resume --stop-at $((step + 5))
    check "the same run without SIG$signal" "$HANDGRAD" train long.ini --out long-$signal --stop-at $((step + 5))
    check "both have the same checkpoint" cmp {long,int}-$signal/ckpt-$((step + 5)).h5
done

# SIGUSR1 saves a checkpoint and training continues. A second run in the folder is refused. --resume skips a damaged checkpoint.
"$HANDGRAD" train long.ini --out asked >asked.log 2>&1 &
pid=$!
for i in $(seq 1200); do
    [ -e asked/metrics.jsonl ] && [ "$(wc -l <asked/metrics.jsonl)" -ge 3 ] && break
    sleep 0.05
done
refused "a second run in the folder" "asked/lock: locked by process $pid on host " "$HANDGRAD" train --out asked --resume
kill -USR1 $pid
for i in $(seq 1200); do
    grep -q "saved: asked/ckpt-" asked.log && break
    sleep 0.05
done
check "SIGUSR1 saves a checkpoint" grep -q "saved: asked/ckpt-[1-9]" asked.log
kill -0 $pid 2>/dev/null
check "… and training continues" test $? -eq 0
kill -9 $pid
wait $pid 2>killed.msg
newest=$(ls asked/ckpt-*.h5 | sort -V | tail -n 1) before=$(ls asked/ckpt-*.h5 | sort -V | tail -n 2 | head -n 1)
truncate -s -1 "$newest"
"$HANDGRAD" train long.ini --out asked --resume --stop-at 1 >fallback.txt 2>&1
check "a run takes over the lock of a killed run" grep -q "asked/lock: process $pid on host .* taken over" fallback.txt
check "a damaged checkpoint is skipped with a message" grep -q "^handgrad: skipping $newest: truncated" fallback.txt
check "… and the previous one is used" grep -q "resuming at step [0-9]* from $before" fallback.txt
refused "a changed configuration on resume" "optim.lr 0.003 != 0.5; --allow lr" train --out half --resume --set optim.lr=0.5
refused "a run that does not fit in memory" "batch_size 1048576 .*needs .* of memory, .* are free" train --out r9 --set train.batch_size=1048576

# If best.h5 cannot be saved, training continues, and the summary does not claim that best.h5 holds the best weights.
mkdir -p nobest/best.h5
check "training continues if best.h5 cannot be saved" bash -c '"$1" train small.ini --out nobest --stop-at 9 >nobest.txt 2>&1' _ "$HANDGRAD"
check "… with a message that names the last checkpoint" grep -qE "^handgrad: .*best.h5.*last checkpoint: nobest/ckpt-8.h5" nobest.txt
check "… and a summary that says so" grep -qE "best validation loss [0-9.]+ after step 8, whose weights are not in nobest/best.h5" nobest.txt

# kill -9 loses only the work since the last checkpoint.
"$HANDGRAD" train small.ini --out killed >killed.log 2>&1 &
pid=$!
for i in $(seq 1200); do
    [ -e killed/ckpt-8.h5 ] && break
    sleep 0.02
done
kill -9 $pid
wait $pid 2>killed.msg
check "resume after kill -9" train --out killed --resume
check "the checkpoint is that of an uninterrupted run" cmp whole/ckpt-24.h5 killed/ckpt-24.h5
check "… and so are the metrics" same_metrics whole killed

# Gradient accumulation gives the loss curve of the large batch.
check "a large batch without accumulation" train --out large --set train.batch_size=8 --set train.accumulate=1
curve() { sed -nE 's/.*"loss": ([^,]+).*/\1/p' "$1/metrics.jsonl"; }
check "has the loss curve of accumulation" \
    awk 'NR == FNR { a[NR] = $1; next } { d = a[FNR] - $1; if (d < 0) d = -d; if (d > 1e-4) exit 1; n++ } END { exit n != 24 }' <(curve whole) <(curve large)

# evaluation
logged=$(value "$(grep '"step": 24' whole/metrics.jsonl)" val_loss)
for rows in 1 3 64; do
    got=$(value "$("$HANDGRAD" eval whole/ckpt-24.h5 data --json --batch $rows)" loss)
    check "eval with batch size $rows gives the loss that train logged ($got, $logged)" close "$got" "$logged" 2e-6
done
check "eval predicts every token of the split except the first" test "$(value "$("$HANDGRAD" eval whole/ckpt-24.h5 data --json)" tokens)" = \
    $(($("$HANDGRAD" inspect data/val-00000.h5 --json | sed -nE 's/.*"tokens": ?([0-9]+).*/\1/p') - 1))

# sampling
check "sample" "$HANDGRAD" sample whole/best.h5 --tokens 60 --prompt "the bias"
check "the text starts with the prompt" grep -q "^the bias" <("$HANDGRAD" sample whole/best.h5 --tokens 60 --prompt "the bias")
check "the same seed gives the same text" test "$("$HANDGRAD" sample whole/best.h5 -n 50 --seed 3)" = "$("$HANDGRAD" sample whole/best.h5 -n 50 --seed 3)"
check "temperature 0 is greedy for any seed" test "$("$HANDGRAD" sample whole/best.h5 -n 50 -t 0 --seed 3)" = "$("$HANDGRAD" sample whole/best.h5 -n 50 --temperature 0 --seed 4)"
sample3() { "$HANDGRAD" sample whole/best.h5 -n 40 --batch 3 "$@"; }
check "--batch 3 prints three texts" test "$(sample3 | grep -c "^---------------$")" -eq 2
check "the same seed gives the same texts" test "$(sample3)" = "$(sample3)"
texts() { rm -f drawn.* && awk -v RS='---------------\n' '{ printf "%s", $0 > ("drawn." NR) }' <(sample3 "$@") && test -s drawn.3; }
check "the three texts can be separated" texts
check "they differ" bash -c '! cmp -s drawn.1 drawn.2 && ! cmp -s drawn.2 drawn.3'
check "three texts at temperature 0" texts -t 0
check "greedy texts are equal" bash -c 'cmp drawn.1 drawn.2 && cmp drawn.2 drawn.3'
check "the output is valid UTF-8" iconv -f utf-8 -t utf-8 <("$HANDGRAD" sample whole/best.h5 -n 300 -t 2)

# gradients, and training from given weights
printf '%s\n' "1 2 3 4 5" "5 4 3 2 1" >ids.txt
check "init" "$HANDGRAD" init small.ini -o init.h5
check "grad" "$HANDGRAD" grad init.h5 --ids ids.txt -o grad.h5 --precision f64
refused "an output that is the checkpoint" "init.h5: is an input" "$HANDGRAD" grad init.h5 --ids ids.txt -o ./init.h5
check "a run with --init" train --out tuned --init whole/best.h5 --stop-at 1

# --- errors ---
for f in "$here"/tests/fuzz/cases/hdf5-crash-*; do # the checksums are right, but libhdf5 1.10.8 crashes when it reads these files
    refused "a malicious file, ${f##*/}" "/${f##*/}: " "$HANDGRAD" inspect "$f"
done
refused "a missing text" "nowhere.txt: No such file" "$HANDGRAD" tokenize nowhere.txt -o d2 --tokenizer char
: >empty.txt
refused "an empty text" "empty" "$HANDGRAD" tokenize empty.txt -o d2 --tokenizer char
printf 'abc\377def' >bad.txt
refused "invalid UTF-8" "bad.txt.*(byte|offset) 3" "$HANDGRAD" tokenize bad.txt -o d2 --tokenizer char
printf 'too short' >short.txt
"$HANDGRAD" tokenize short.txt -o short --tokenizer byte --val 0 >/dev/null
refused "a text shorter than one window" "short.*9 tokens.*block_size 16 needs at least 17" train --out r1 --set data.dir=short
refused "a missing configuration" "nowhere.ini: No such file" "$HANDGRAD" train nowhere.ini --out r1
sed 's/n_embd/n_emb/' small.ini >typo.ini
refused "an unknown key" "typo.ini:[0-9]+.*n_emb.*n_embd" "$HANDGRAD" train typo.ini --out r1
refused "an unknown key from --set" "n_layers.*n_layer" train --out r1 --set model.n_layers=3
refused "n_embd not divisible by n_head" "n_embd.*25.*n_head" train --out r1 --set model.n_embd=25
refused "missing data" "nodata" train --out r1 --set data.dir=nodata
refused "no data folder" "data.dir is not set" train --out r1 --set data.dir=
refused "a run folder that exists" "whole.*holds a run" train --out whole
refused "nothing to resume" "nothing-here.*no run" train --out nothing-here --resume
refused "a checkpoint of another shape" "init.h5: its weights were trained for another model: model.n_embd 24 != 32" train --out r2 --init init.h5 --set model.n_embd=32
"$HANDGRAD" tokenize text.txt -o bytes --tokenizer byte >/dev/null
refused "other data on resume" "half/ckpt-[0-9]+.h5: model.vocab_size is [0-9]+, expected 256" train --out half --resume --set data.dir=bytes
refused "data of another tokenizer" "tokenizer" "$HANDGRAD" eval whole/best.h5 bytes
cp -r data mixed && cp bytes/train-00000.h5 mixed/
refused "a shard of another tokenizer in the folder" "mixed/train-00000.h5.*tokenizer" train --out r3 --set data.dir=mixed
head -c 5000 whole/best.h5 >cut.h5
refused "a directory that holds no run" "data: expected a checkpoint ckpt-STEP.h5, found none" "$HANDGRAD" sample data
refused "a truncated checkpoint" "cut.h5" "$HANDGRAD" sample cut.h5
refused "a text as a checkpoint" "text.txt" "$HANDGRAD" eval text.txt data
if [ "$(id -u)" -ne 0 ]; then
    mkdir locked && chmod 500 locked
    refused "an unwritable folder" "locked.*Permission denied" train --out locked/run
else
    refused "an unwritable folder" "/proc/run.*" train --out /proc/run
fi
train --out diverged --set optim.lr=1e6 --set optim.weight_decay=1e6 >diverged.txt 2>&1
check "a loss that stays non-finite ends the run" test $? -eq 1
check "… after skipped steps and one rollback" test "$(grep -c 'skipped: loss is' diverged.txt) $(grep -c 'rolling back from step' diverged.txt)" = "10 1"
check "… with a message that names the first operation" grep -qE '^handgrad: step [0-9]+: loss is nan; first in micro-batch 1, .*(parameter|_forward).*last checkpoint: diverged/ckpt-' diverged.txt
check "… and the checkpoint is intact" "$HANDGRAD" inspect diverged/ckpt-0.h5 --verify
refused "a prompt with an unknown character" "prompt.*U\+20AC|prompt.*€" "$HANDGRAD" sample whole/best.h5 --prompt "5 €"
echo "1 2 x" >ids.txt
refused "ids that are not numbers" "ids.txt.*'x'" "$HANDGRAD" grad init.h5 --ids ids.txt -o g.h5

# Standard output on a full disk.
full() { "$HANDGRAD" "$@" >/dev/full; }
for command in "eval whole/best.h5 data --json" "inspect whole/best.h5" "inspect --json whole/best.h5" "inspect --plot whole" "train --keys" \
    "gradcheck softmax --json" "tokens data bias" "tokens data bias --json" "sample whole/best.h5 -n 5" "sample whole/best.h5 -n 5 --batch 2" \
    "lens whole/best.h5 --text bias" "report whole --csv" "init --help"; do
    refused "lost output of $command" "^handgrad: standard output cannot be written$" full $command
done
{ sleep 0.2; train --out unread 2>unread.err; echo $? >unread.code; } | : # exits immediately
check "a run succeeds although the reader of its output has exited" test "$(cat unread.code unread.err)" = 0

check "resuming a finished run says so" bash -c '"$0" train --out whole --resume | grep -q "^all 24 steps are done; "' "$HANDGRAD"

misused() { # misused NAME COMMAND…: exit status 2
    local name=$1
    shift
    "$@" >out.txt 2>&1
    local code=$?
    check "wrong usage: $name" test $code -eq 2
}
misused "an unknown command" "$HANDGRAD" trian
misused "an unknown option" train --out x --stop-after 3
misused "no arguments" "$HANDGRAD" eval
misused "an unknown library" env HANDGRAD_GEMM=onedn "$HANDGRAD" inspect init.h5
misused "--plot with --json" "$HANDGRAD" inspect --plot whole --json
misused "--plot with --verify" "$HANDGRAD" inspect --plot whole --verify
for c in tokenize tokens init train eval sample grad gradcheck lens report serve inspect bench; do check "$c --help" "$HANDGRAD" $c --help; done

# If the program restarts itself to select OpenBLAS kernels, OMP_PROC_BIND does not confine it to one processor.
starts() { OMP_DISPLAY_ENV=true "$@" "$HANDGRAD" eval --help 2>&1 | grep -c 'DISPLAY ENVIRONMENT BEGIN'; }
threads() { timeout -s INT 60 "$@" "$HANDGRAD" bench tiny --runs 1 2>&1 | sed -nE '1s/.* ([0-9]+) threads.*/\1/p'; }
check "the program restarts at most once" test "$(starts env -u OPENBLAS_CORETYPE)" -le 2
check "… and not if OPENBLAS_CORETYPE is set" test "$(starts env OPENBLAS_CORETYPE=Haswell)" = 1
check "… and bound threads have a processor each" test "$(threads env -u OPENBLAS_CORETYPE OMP_PROC_BIND=true)" = "$(threads env)"

# While other programs compete for the processors, waiting threads sleep: an extra thread makes them (base/omp_wait.c).
waits_briefly() {
    local busy=() i pid status=1
    for ((i = 0; i < $(nproc) + 2; i++)); do
        (while :; do :; done) &
        busy+=($!)
    done
    env -u GOMP_SPINCOUNT -u OMP_WAIT_POLICY OMP_NUM_THREADS=2 "$@" "$HANDGRAD" train long.ini --out company >company.log 2>&1 &
    pid=$!
    for ((i = 0; i < 100; i++)); do
        grep -q "oversubscriber" /proc/$pid/task/*/comm 2>/dev/null && status=0 && break
        kill -0 $pid 2>/dev/null || break
        sleep 0.05
    done
    kill -9 $pid "${busy[@]}"
    wait
    rm -rf company
    return $status
} 2>/dev/null
# Threads that do not compute, such as the writer and the loader, are not bound to a processor.
free_threads() { # prints how many threads are not bound
    OMP_PROC_BIND=true OMP_NUM_THREADS=2 "$HANDGRAD" train long.ini --out bound >bound.log 2>&1 &
    local pid=$! i n=0 all
    all=$(grep Cpus_allowed_list /proc/self/status)
    for ((i = 0; i < 100 && n < 2; i++)); do
        n=$(grep -h Cpus_allowed_list /proc/$pid/task/*/status 2>/dev/null | grep -cFx "$all")
        sleep 0.05
    done
    kill -9 $pid
    wait
    rm -rf bound
    echo "$n"
} 2>/dev/null
if ldd "$HANDGRAD" | grep -q libgomp && [ "$(nproc)" -gt 1 ]; then
    check "writer and loader are not bound" test "$(free_threads)" -ge 2
    check "threads sleep while other programs compete" waits_briefly env
    check "… unless OMP_WAIT_POLICY says otherwise" eval '! waits_briefly env OMP_WAIT_POLICY=active'
fi
cd "$here" || exit 1
