#!/usr/bin/env bash
# What a run says while it trains: on a terminal, about validation, and when it ends early.
# Prints "ok - …" or "not ok - …" for each check.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/checks.bash
head -c 2000 "$here/docs/course.md" >text.txt
"$HANDGRAD" tokenize text.txt -o data --tokenizer char >/dev/null
cat >c.ini <<'EOF'
[model]
n_layer = 1
n_head = 2
n_embd = 64
block_size = 16
[data]
dir = data
[optim]
lr = 5e-3
[train]
batch_size = 8
steps = 4000
eval_every = 100
checkpoint_every = 100
EOF
quiet="--set train.sample_tokens=0"

# --- early stopping ---
"$HANDGRAD" train c.ini $quiet --set train.patience=5 --out run >printed 2>&1
check "the run memorises its text, and says so once" test "$(grep -c 'the model memorises its text' printed)" -eq 1
check "it ends early, and says why" grep -qE '^stopped after step [0-9]+: 5 evaluations without a better validation loss \(train.patience\)$' printed
end=$(sed -nE 's/^stopped after step ([0-9]+): .*/\1/p' printed)
best=$(sed -nE 's/^best validation loss .* after step ([0-9]+): .*/\1/p' printed)
check "five evaluations after the best" test "$end" -eq $((best + 500))
check "the checkpoint says so" bash -c '"$0" inspect run/ckpt-$1.h5 | grep -q "evals_since_best *5$"' "$HANDGRAD" "$end"
"$HANDGRAD" train --out run --resume >printed 2>&1
check "--resume says it again, and trains no step" bash -c 'grep -q "^stopped after step $0: " printed && ! grep -q "^step " printed' "$end"
cp run/best.h5 first.h5
"$HANDGRAD" train --out run --resume --set train.patience=6 >printed 2>&1
check "more patience continues it" grep -q "^step $((end + 100))  val_loss" printed
"$HANDGRAD" train c.ini $quiet --set train.patience=5 --out parts --stop-at $((best + 220)) >printed 2>&1
"$HANDGRAD" train --out parts --resume >printed 2>&1
check "in two parts, it ends at the same step" grep -q "^stopped after step $end: " printed
check "… with the same weights" cmp first.h5 parts/best.h5

# --- a part of the split ---
"$HANDGRAD" train c.ini $quiet --set train.eval_tokens=50 --stop-at 100 --out part >printed 2>&1
check "a loss of a part of the split is marked" grep -qE '^step 100  val_loss [0-9.]+ \(on 50 of [0-9]+ tokens\)$' printed
"$HANDGRAD" train c.ini --set train.sample_tokens=9 --stop-at 100 --out sampled >printed 2>&1
check "that of all of it is not" grep -qE '^step 100  val_loss [0-9.]+$' printed
check "samples are printed" grep -qE '^step 100  sample "' printed
check "… as recorded" grep -qF "$(sed -nE 's/^step 100  sample (".*")$/"text":\1/p' printed)" sampled/samples.jsonl
check "no time is estimated from the first step" bash -c '! grep "^step 1/" printed | grep left && grep "^step 10/" printed | grep -q "left$"'

# --- the progress line ---
has_terminal || { skip "the progress line" "no pseudo-terminal" && exit; }
for columns in 40 60 80 100 120; do
    script -qec "stty cols $columns; '$HANDGRAD' train c.ini $quiet --stop-at 40 --set train.eval_every=0 --out w$columns" /dev/null </dev/null 2>&1 | tr '\r' '\n' | sed 's/^.\[K//' | grep '^step ' >lines
    check "the progress line fits into $columns columns" bash -c "test \$(wc -l <lines) -gt 20 && ! awk 'length > $columns' lines | grep ."
    [ $columns -lt 60 ] || check "… with the time left" bash -c "test \$(grep -c ' left$' lines) -gt 20"
done
check "a wide one has all numbers" grep -qE '^step .* loss .* smoothed .* lr .* grad_norm .* tokens/s .* left$' lines
