#!/usr/bin/env bash
# What commands answer: descriptions of files, texts that are too long or empty, and settings that
# do not fit. Prints "ok - …" or "not ok - …" for each check.
set -u
cd "$(dirname "$0")/../../.." || exit 1
. tests/checks.bash
hg() { "$HANDGRAD" "$@"; }
mkdir texts && for i in 1 2 3 4 5; do seq -s ' ' $i 200 >texts/$i; done
hg tokenize texts -o data --tokenizer char >/dev/null
hg train "$here/configs/tiny.ini" --set data.dir=data --set train.steps=10 --set train.eval_every=0 --out run >/dev/null

# --- inspect ---
hg inspect data/train-00000.h5 >printed
check "many sources are summarised" grep -qE "^  sources +5 files with $(cat texts/* | wc -c) bytes \(--sources lists them\)$" printed
hg inspect data/train-00000.h5 --sources >printed
check "--sources lists them" test "$(grep -c ' path texts/' printed)$(grep -c '^  sources' printed)" = 51
check "JSON has them all" bash -c 'test "$("$0" inspect data/train-00000.h5 --json | grep -o "\"path\"" | wc -l)" -eq 5' "$HANDGRAD"
hg inspect run/ckpt-10.h5 >printed
check "what was not measured is left out" bash -c '! grep -iE "nan|val_loss" printed'
hg grad run --text "1 2 3 4 5" -o g.h5 >printed 2>/dev/null
check "grad takes a text" grep -qE '^loss [0-9.]+ on 1 x 8 tokens; gradients in g.h5$' printed
loss=$(sed -E 's/^loss ([0-9]+\.[0-9]{2}).*/\1/' printed)
hg inspect g.h5 >printed
check "inspect describes a gradient file" grep -q "^  loss  *$loss" printed
check "… and every gradient" test "$(grep -cE '^  (h\.[01]|ln_f|wte|wpe)' printed)" -eq "$(hg inspect run/ckpt-10.h5 | grep -cE '^  (h\.[01]|ln_f|wte|wpe)')"
printf '%s\n' "$(seq -s ' ' 0 8)" >ids
for precision in f32 f64; do
    hg grad run --ids ids -o ids.h5 -p $precision >/dev/null 2>&1
    hg inspect ids.h5 --json | grep -o '"grad_norm":[0-9.]*'
done >norms
check "the norm is that of either precision" awk -F: '{ x[NR] = $2 } END { exit !(NR == 2 && x[1] > 0 && (x[1] - x[2])^2 < 1e-8 * x[1]^2) }' norms

# --- texts ---
long=$(seq -s ' ' 60)
check "lens reads the end of a longer text" bash -c '"$0" lens run/ckpt-10.h5 --text "$1" --json >long 2>err && "$0" lens run/ckpt-10.h5 --text "${1: -32}" --json >end && cmp <(sed "s/\"omitted\":[0-9]*/x/" long) <(sed "s/\"omitted\":[0-9]*/x/" end)' "$HANDGRAD" "$long"
check "… and says so" grep -qx "handgrad: --text: only the last 32 of its ${#long} tokens fit into block_size" err
misused() { # misused NAME PATTERN COMMAND…: exits with 2, and the first line of stderr matches
    local name=$1 pattern=$2
    shift 2
    "$@" >out.txt 2>err.txt
    if [ $? -eq 2 ] && head -n 1 err.txt | grep -qE -- "$pattern"; then echo "ok - $name"; else
        echo "not ok - $name" && sed 's/^/#   /' err.txt
    fi
}
misused "lens of an empty text" "--text: expected TEXT, got ''$" hg lens run --text ""
misused "grad needs ids or a text" "expected either --ids FILE or --text TEXT$" hg grad run -o x.h5
misused "… not both" "expected either --ids FILE or --text TEXT$" hg grad run -o x.h5 --text a --ids ids
refused "a text of one token" "^handgrad: --text: expected at least 2 tokens, got 1$" hg grad run/ckpt-10.h5 -o x.h5 --text 1

# --- settings ---
tiny="$here/configs/tiny.ini"
refused "a setting that does not fit names --set" "tiny.ini with --set: model.n_embd: 32 is not divisible by model.n_head 3" hg train "$tiny" --out x --set model.n_head=3
refused "a key without its section" "^handgrad: --set lr=3: expected section.key=value, such as optim.lr=0.001$" hg train "$tiny" --out x --set lr=3
refused "another answer than yes or no" 'model.bias: expected yes or no, got "maybe"' hg train "$tiny" --out x --set model.bias=maybe

# --- long runs without a break ---
head -c 12000000 /dev/zero | tr '\0' A >run.txt
for pattern in gpt2 gpt4 gpt4o; do
    check "12 MB of one letter ($pattern)" hg tokenize run.txt -o a --force --tokenizer bpe:260 --pattern $pattern
done
