#!/usr/bin/env bash
# Tokenizer files of other programs: a file that is written and read again is unchanged; broken files
# and files of another kind are refused with a message; `handgrad tokens` reads standard input. Prints
# "ok - …" or "not ok - …" for each check.
set -u
cd "$(dirname "$0")/../../.." || exit 1
. tests/checks.bash
cp "$here/README.md" text.txt

verdict() { # verdict NAME: by the status of the command before
    if [ $? -eq 0 ]; then echo "ok - $1"; else echo "not ok - $1"; fi
}
ids() { "$HANDGRAD" tokens "$1" --json "$(cat text.txt)"; }

"$HANDGRAD" tokenize text.txt -o own --tokenizer bpe:700 >/dev/null && "$HANDGRAD" tokens own --export a/deep/folder >/dev/null
verdict "trains, and exports into a folder that is not there yet"
files=a/deep/folder
ids own >expected && ids "$files/tokenizer.json" >first && ids "$files/vocab.json" >second && [ "$(wc -c <expected)" -gt 10000 ] &&
    cmp -s first expected && cmp -s second expected
verdict "what was exported gives the same ids"
"$HANDGRAD" tokens "$files/tokenizer.json" --export again >/dev/null && cmp -s "$files/tokenizer.json" again/tokenizer.json && cmp -s "$files/merges.txt" again/merges.txt
verdict "exported again it is the same"

# broken NAME PATTERN EDIT…: a copy of vocab.json and merges.txt, edited in its folder
broken() {
    local name=$1 pattern=$2
    shift 2
    rm -rf b && mkdir b && cp "$files/vocab.json" "$files/merges.txt" b
    (cd b && bash -c "$*") || echo "not ok - $name: could not be prepared"
    refused "$name" "$pattern" "$HANDGRAD" tokens b/vocab.json hello
}
broken "a merge twice" 'merges.txt: line [0-9]+: makes .* which a line above makes' 'sed -n 2p merges.txt >>merges.txt'
broken "a merge that is missing" 'merges.txt: line [0-9]+: uses .* which no line above makes' 'sed -i 2d merges.txt'
broken "merges in a circle: each uses what only the other makes" 'merges.txt: line [0-9]+: uses .* which no line above makes' \
    'first=$(sed -n 2p merges.txt); sed -i 2d merges.txt; echo "$first" >>merges.txt'
broken "a merge of what the vocabulary lacks" 'merges.txt: line [0-9]+: "zzqq" is not in the vocabulary' 'echo "zzqq xxvv" >>merges.txt'
broken "a line of three" 'merges.txt: line [0-9]+: "a b c"' 'echo "a b c" >>merges.txt'
broken "no merges" 'neither merges.txt nor vocab.bpe' 'rm merges.txt'
broken "half a vocabulary" 'vocab.json: not JSON' 'head -c 3000 vocab.json >v && mv v vocab.json'

# json NAME PATTERN SED: tokenizer.json, edited
json() {
    sed -E "$3" "$files/tokenizer.json" >edited.json
    if cmp -s edited.json "$files/tokenizer.json"; then echo "not ok - $1: nothing was edited"; fi
    refused "$1" "$2" "$HANDGRAD" tokens edited.json hello
}
json "another kind" 'WordPiece is not supported' 's/"type":\s*"BPE"/"type":"WordPiece"/'
json "an id beyond all bounds" 'has the id [0-9.e+]+: expected a whole number' 's/("!":\s*)[0-9]+/\11000000000000/'
json "an id below zero" 'has the id -1: expected a whole number' 's/("!":\s*)[0-9]+/\1-1/'
json "an id twice" 'two tokens have the id 65: "(!" and "A|A" and "!)"$' 's/("!":\s*)[0-9]+/\165/'
for _ in $(seq 2000); do printf '[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[['; done >deep.json
refused "brackets without end" 'deep.json' "$HANDGRAD" tokens deep.json hello

# A .tiktoken file: base64 of a token, and its rank
for i in $(seq 0 255); do printf "$(printf '\\x%02x' "$i")" | base64 | sed "s/\$/ $i/"; done >bytes.tiktoken
[ "$("$HANDGRAD" tokens bytes.tiktoken --pattern gpt2 --json hi | grep -oE '104|105' | tr '\n' ' ')" = "104 105 " ]
verdict "a .tiktoken file of the bytes alone"
refused "one that does not say how it cuts words" '--pattern' "$HANDGRAD" tokens bytes.tiktoken hi
sed 2d bytes.tiktoken >gap.tiktoken
refused "a byte that is missing" 'gap.tiktoken' "$HANDGRAD" tokens gap.tiktoken --pattern gpt2 hi
(cat bytes.tiktoken && echo 'aGU= 256' && echo 'aGU= 257') >twice.tiktoken
refused "a token twice" 'twice.tiktoken' "$HANDGRAD" tokens twice.tiktoken --pattern gpt2 hi
(cat bytes.tiktoken && echo '!!! 256') >junk.tiktoken
refused "no base64" 'junk.tiktoken' "$HANDGRAD" tokens junk.tiktoken --pattern gpt2 hi
printf abab >short.txt
refused "a vocabulary larger than the text gives" 'the text gives only 259 ' "$HANDGRAD" tokenize short.txt -o big --tokenizer bpe:4000

# memory is filled with ones, so that an unterminated number would continue
[ "$(printf 98 | MALLOC_PERTURB_=206 "$HANDGRAD" tokens own --decode)" = b ]
verdict "ids from standard input end where it does"
[ "$(head -c 8192 /dev/zero | tr '\0' b | "$HANDGRAD" tokens own --json)" = "$("$HANDGRAD" tokens own --json "$(head -c 8192 /dev/zero | tr '\0' b)")" ]
verdict "a text that fills a buffer"
for how in "" --json --lines --decode; do
    refused "a folder as standard input ${how:-of text}" "^handgrad: standard input: Is a directory$" "$HANDGRAD" tokens own $how <.
done
