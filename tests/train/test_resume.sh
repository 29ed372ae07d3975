#!/usr/bin/env bash
# What may change between a run and its continuation, or between weights and the run that begins with
# them. Prints "ok - …" or "not ok - …" for each check.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/checks.bash

lines() { awk -v seed="$1" -v words="$2" 'BEGIN { n = split(words, w, " "); srand(seed); for (i = 0; i < 500; i++)
    printf "%s %s %d\n", w[1 + int(rand() * n)], w[1 + int(rand() * n)], int(rand() * 100) }'; }
lines 1 "one two three" >easy.txt
lines 2 "tower thereon neo throne wort" >hard.txt
cat >c.ini <<'EOF'
[model]
n_layer = 2
n_head = 2
n_embd = 24
block_size = 16
[data]
dir = easy
order = sequential
[optim]
lr = 3e-3
[train]
batch_size = 4
steps = 40
eval_every = 10
checkpoint_every = 10
EOF
train() { "$HANDGRAD" train "$@" >train.txt 2>&1; }
loss() { "$HANDGRAD" eval "$1" "$2" --json | sed -E 's/.*"loss": *([0-9.]+).*/\1/'; }
best() { sed -nE 's/^best validation loss ([0-9.]+) after step [0-9]+: .*/\1/p' train.txt; }
same() { awk -v a="$1" -v b="$2" 'BEGIN { d = a - b; exit !(a != "" && b != "" && d * d < 1e-8) }'; }
cat easy.txt hard.txt >all.txt
"$HANDGRAD" tokenize all.txt -o all --tokenizer char >/dev/null
for text in easy hard; do "$HANDGRAD" tokenize $text.txt -o $text --tokenizer all >/dev/null; done

# --- the best validation loss is one of the current data and settings ---
train c.ini --out run --stop-at 20
cp -r run other
check "the same run keeps its best loss" bash -c '"$0" train --out run --resume --stop-at 20 >x && ! grep "measured anew" x' "$HANDGRAD"
train --out other --resume --set data.dir=hard --allow data
check "other data: the old best loss is dropped" grep -q "^best validation loss .* after step 20 was measured on other data or settings: measured anew" train.txt
check "… the weights are measured at once" grep -q "^step 20  val_loss" train.txt
check "… and the new best loss is that of best.h5" same "$(best)" "$(loss other/best.h5 hard)"
cp -r run part
train --out part --resume --set train.eval_tokens=100 --stop-at 21
check "another eval_tokens" grep -q "measured anew" train.txt
check "inspect shows what the loss was measured on" bash -c '"$0" inspect part/ckpt-21.h5 | grep "val_measure.*eval_tokens=100 windows=anywhere mask_documents=no"' "$HANDGRAD"

# --- --init: the weights must compute the same function ---
train c.ini --out same --init run/ckpt-20.h5 --set optim.lr=0 --set optim.min_lr=0 --set train.eval_every=1 --stop-at 1
check "init keeps the function" same "$(best)" "$(loss run/ckpt-20.h5 easy)"
for key in model.n_head=4 model.gelu=erf model.bias=yes model.n_layer=1 model.n_embd=12; do
    refused "init with $key" "run/ckpt-20.h5: its weights were trained for another model: ${key%=*} .* in this configuration$" \
        "$HANDGRAD" train c.ini --out no --init run/ckpt-20.h5 --set $key
done
refused "init with a longer context" "model.block_size is 16, expected at least 32" "$HANDGRAD" train c.ini --out no --init run/ckpt-20.h5 --set model.block_size=32
check "init with a shorter context" train c.ini --out short --init run/ckpt-20.h5 --set model.block_size=8 --set model.dropout=0.1 --stop-at 1
check "… says so in one line" grep -qx "weights of run/ckpt-20.h5: block_size cropped from 16 to 8, dropout 0.1 instead of 0" train.txt
train c.ini --out crop --init run/ckpt-20.h5 --set model.block_size=8 --set optim.lr=0 --set optim.min_lr=0 --stop-at 1
echo 1 2 3 4 5 6 7 8 9 >ids
grad() { "$HANDGRAD" grad "$1" --ids ids -o g.h5 | sed 's/ on .*//'; }
check "… which computes the same loss on a text that fits" test "$(grad run/ckpt-20.h5)" = "$(grad crop/ckpt-1.h5)"
refused "a run resumed with another n_head" "model.n_head 2 != 4" "$HANDGRAD" train --out run --resume --set model.n_head=4 --allow n_head

# --- a larger vocabulary whose first symbols are the same: for --init, not for --resume ---
lines 3 "ab ba aab" | tr -d '0-9' >ab.txt
{ cat ab.txt; echo abcabc; } >abc.txt
for text in ab abc; do "$HANDGRAD" tokenize $text.txt -o $text --tokenizer char --val 0 >/dev/null; done
train c.ini --out narrow --set data.dir=ab --stop-at 2
refused "a run resumed with more symbols" "narrow/ckpt-2.h5: model.vocab_size is 4, expected 5" \
    "$HANDGRAD" train --out narrow --resume --set data.dir=abc --allow data
check "init with more symbols" train c.ini --out wide --init narrow --set data.dir=abc --set optim.lr=0 --set optim.min_lr=0 --stop-at 1
check "… says so" grep -qx "weights of narrow/ckpt-2.h5: vocabulary extended from 4 to 5 symbols" train.txt
refused "init with fewer symbols" "its tokenizer .char, 5 symbols. is not that of ab .char, 4 symbols.$" "$HANDGRAD" train c.ini --out no --init wide/ckpt-1.h5 --set data.dir=ab

# --- two byte-pair encodings with the same symbols but other merges: text gives other ids ---
for word in ab ab ab bc bc abc; do for i in 1 2 3 4 5 6 7 8 9; do echo $word; done; done >pairs.txt
for i in 1 2 3 4; do cat pairs.txt pairs.txt; done >merges.txt
"$HANDGRAD" tokenize merges.txt -o first --tokenizer bpe:260 >/dev/null
"$HANDGRAD" tokens first --export files
check "the third merge is ab + c" grep -qx "ab c" files/merges.txt
sed -i 's/^ab c$/a bc/' files/merges.txt
"$HANDGRAD" tokenize merges.txt -o second --tokenizer files/vocab.json >/dev/null
train c.ini --out merged --set data.dir=first --stop-at 2
for with in "--out merged --resume --allow data" "c.ini --out no --init merged/ckpt-2.h5"; do
    refused "train ${with/ --allow data/}, other merges" "merged/ckpt-2.h5: its tokenizer .bpe, 260 symbols. is not that of second .bpe, 260 symbols.$" \
        "$HANDGRAD" train $with --set data.dir=second
done

# --- another batch_size neither skips nor repeats rows ---
train c.ini --out rows --set optim.lr=0 --set optim.min_lr=0 --set train.batch_size=1 --set train.steps=60 --set train.eval_every=0
train c.ini --out moved --set optim.lr=0 --set optim.min_lr=0 --set train.steps=20 --set train.eval_every=0 --stop-at 5
train --out moved --resume --set train.batch_size=2 --allow batch_size --stop-at 10
train --out moved --resume --set train.accumulate=3 --allow accumulate --stop-at 13
losses() { sed -nE 's/.*"loss": *([0-9.]+).*/\1/p' "$1/metrics.jsonl"; }
# steps of 4, 2 and 6 rows are means of as many steps of one row
losses rows | awk '{ sum += $1; n++; size = step < 5 ? 4 : step < 10 ? 2 : 6; if (n == size) { print sum / n; sum = n = 0; step++ } }' | head -n 13 >expected
losses moved >got
check "rows are read once and in order after changes of batch_size and accumulate" awk 'NR == FNR { a[FNR] = $1; next } { d = a[FNR] - $1; if (d * d > 1e-9) bad = 1; n++ } END { exit !(n == 13 && !bad) }' expected got
