#!/usr/bin/env bash
# Documents from the text to the generated text: whole ones for validation, the token that ends
# them, and texts that begin and end with it. Prints "ok - …" or "not ok - …" for each check.
set -u
cd "$(dirname "$0")/../../.." || exit 1
. tests/checks.bash
hg() { "$HANDGRAD" "$@"; }
letters() { yes "$1" | tr -d '\n' | head -c "$2"; }
prints() { # prints NAME PATTERN COMMAND…: the command succeeds, and a line that it prints matches
    local name=$1 pattern=$2
    shift 2
    if "$@" >out.txt 2>&1 && grep -qE -- "$pattern" out.txt; then echo "ok - $name"; else
        echo "not ok - $name" && sed 's/^/#   /' out.txt
    fi
}

# --- validation takes whole documents ---
# folder LENGTH…: writes documents of these lengths
folder() {
    rm -rf docs && mkdir docs
    local i=0
    for n in "$@"; do letters "$(printf "\\x$(printf %x $((97 + i)))")" "$n" >docs/$((i++)); done
}
split() { hg tokenize docs --document-files --tokenizer byte -o data --force "$@"; }
folder 9900 100
prints "the nearest of two documents" '^train 9901, val 101 tokens' split
prints "a missed fraction is reported" '^handgrad: --val 0.1: whole documents come no nearer than 0.0101 of the tokens$' split
folder 4800 5200
prints "the shorter one" '^train 5201, val 4801 tokens' split
folder 9500 500
prints "also at the beginning" '^train 501, val 9501 tokens' split --val 0.9
folder 999 199 399 299 99 999
prints "the best sum" '^train 2700, val 300 tokens' split
prints "nothing to report then" '^6 documents: train 5, val 1$' split
check "no remark" bash -c '! grep handgrad: out.txt' out.txt
folder 99 99 99 99 99 99 99 99 99 99
prints "of equals, the last" '^train 900, val 100 tokens' split
prints "… which ends the text" '^10 documents: train 9, val 1$' split
last() { hg inspect data/val-00000.h5 --json | sed -E 's/.*"sha256":"([0-9a-f]*)","sources".*/\1/'; }
whole=$(last)
for seed in 1 2 3; do split --val-seed $seed >/dev/null && last; done | sort -u >seeds
check "other documents with a seed" bash -c "test \$(wc -l <seeds) -gt 1"
split --val-seed 2 >/dev/null && one=$(last) && split --val-seed 2 >/dev/null
check "the same with the same seed" test "$one" = "$(last)" -a "$one" != "$whole"
folder 1000
refused "a single document" "^handgrad: docs: a single document cannot be divided into train and val; --val 0 makes no validation split$" split
prints "… unless nothing is to be divided" '^train 1001, val 0 tokens' split --val 0
refused "a seed without documents" "^handgrad: --val-seed: the text has no documents: expected JSON lines, --document-separator or --document-files$" hg tokenize docs -o data --force --tokenizer byte --val-seed 1

# --- no character is divided ---
for i in $(seq 40); do printf '\xf0\x9f\x98\x80\xc3\xa9'; done >wide.txt
for kind in byte char bpe:257 bpe:259; do
    for val in 0.11 0.21 0.35 0.5; do
        hg tokenize wide.txt -o wide --force --tokenizer $kind --val $val >/dev/null || echo "not ok - $kind"
        hg tokens wide wide/val-00000.h5 2>/dev/null >/dev/null
        hg inspect wide/val-00000.h5 --json | sed -E 's/.*"bytes":([0-9]*),.*/\1/' | awk '{ exit $1 % 6 != 0 && $1 % 6 != 2 }' ||
            echo "not ok - $kind --val $val divides a character"
    done
done
echo "ok - characters stay whole"

# --- byte and char have an end-of-text token ---
awk 'BEGIN { for (i = 0; i < 4000; i++) printf "%s%s\n", i * 7 % 3 ? "na" : "ko", i * 11 % 5 ? "mi" : "ru" }' >names.txt
for kind in byte char; do
    hg tokenize names.txt -o $kind --tokenizer $kind --document-separator '\n' >out
    prints "the token after documents ($kind)" '<\|endoftext\|>"  special' hg tokens $kind '<|endoftext|>' -s
    hg tokenize names.txt -o plain-$kind --tokenizer $kind >out
    check "no such token without documents ($kind)" bash -c '! "$0" tokens plain-$1 "<|endoftext|>" -s | grep special' "$HANDGRAD" $kind
done
check "a separator that does not occur" bash -c '"$0" tokenize names.txt -o x --val 0 --tokenizer char --document-separator "@" 2>&1 | grep -x "handgrad: --document-separator: does not occur in the text"' "$HANDGRAD"
awk '{ printf "%s<|endoftext|>", $0 }' names.txt >literal.txt
prints "<|endoftext|> in the text" '^handgrad: the text contains <\|endoftext\|> 4000 times, which is ordinary text unless' hg tokenize literal.txt -o x --force --tokenizer bpe:270
prints "… as the separator" '^4000 documents' hg tokenize literal.txt -o x --force --tokenizer bpe:262 --document-separator '<|endoftext|>'
check "… without remark" bash -c '! grep handgrad: out.txt'

# --- samples begin, show and end documents ---
for kind in char bpe:262; do
    hg tokenize names.txt -o data --force --tokenizer $kind --document-separator '\n' >/dev/null
    for masks in no yes; do
        rm -rf run
        hg train "$here"/configs/tiny.ini --set data.dir=data --set data.mask_documents=$masks --set train.steps=200 --set train.sample_tokens=40 --out run >/dev/null
        sample() { hg sample run -t 0.5 "$@" 2>err.txt; }
        name='(na|ko)(mi|ru)'
        what="$kind, mask_documents $masks"
        prints "a sample begins a document and shows ends ($what)" "^($name<\|endoftext\|>){8}" sample -n 80
        prints "samples.jsonl too ($what)" "\"text\":\"($name<\|endoftext\|>){3}" cat run/samples.jsonl
        prints "a stop at the token ($what)" "^$name\$" sample --stop '<|endoftext|>'
        prints "a stop at a text ($what)" "^($name<\|endoftext\|>)*(na|ko)\$" sample --stop ru
        prints "the token in a prompt ($what)" "^<\|endoftext\|>$name<\|endoftext\|>" sample -n 30 -p '<|endoftext|>' --special
        sample --count 40 >texts
        check "documents, one by one ($what)" test "$(grep -cxE "$name" texts)-$(grep -cx -- --------------- texts)-$(wc -l <texts)" = 40-39-79
        for batch in 1 7 40; do
            check "the same side by side ($what, $batch)" cmp texts <(sample --count 40 --batch $batch)
        done
    done
done
check "a special token that is only text" bash -c '"$0" sample run/best.h5 -n 1 -p "<|endoftext|>" 2>&1 >/dev/null | grep -xF "handgrad: --prompt: <|endoftext|> is ordinary text; with --special it is a token"' "$HANDGRAD"
check "a random seed is reported" bash -c '"$0" sample run -n 30 --seed random >one 2>err && seed=$(sed -n "s/^handgrad: --seed //p" err) && "$0" sample run -n 30 --seed $seed >two 2>err && cmp one two' "$HANDGRAD"
refused "an empty stop" "--stop: expected a text or the name of a special token, got ''" bash -c '"$0" sample run/best.h5 --stop ""' "$HANDGRAD"
prints "a stop of several tokens" "^($name<\|endoftext\|>)*(na|ko)\$" sample --stop 'ru<|endoftext|>x' --stop 'mi<|end'
