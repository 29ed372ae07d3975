#!/usr/bin/env bash
# What commands do with inputs as people have them. Prints "ok - …" or "not ok - …" for each check.
set -u
cd "$(dirname "$0")/../../.." || exit 1
. tests/checks.bash
awk 'BEGIN { for (i = 0; i < 300; i++) printf "line %d, %s %c\n", i, i % 3 ? "weight" : "bias", 97 + i % 26 }' >text.txt
tokenize() { "$HANDGRAD" tokenize "$@" -o data --force; }

# --- files that are no text ---
mkdir mix && cp text.txt mix/ && printf 'PNG\0\1\2' >mix/picture.png
for kind in char bpe:300; do
    check "binary files in a directory are skipped ($kind)" bash -c '"$0" tokenize mix -o data --force --tokenizer "$1" >out 2>err && grep -q "^1 file, $(stat -c %s text.txt) bytes" out' "$HANDGRAD" $kind
    check "… and named" test "$(cat err)" = "handgrad: skipping mix/picture.png: not a text: byte 3 is NUL"
    refused "a named binary file ($kind)" "mix/picture.png: not a text: byte 3 is NUL" tokenize mix/picture.png --tokenizer $kind
done
iconv -f UTF-8 -t UTF-16 text.txt >utf16.txt
refused "UTF-16" "utf16.txt: not a text: it is UTF-16, which iconv -f UTF-16 -t UTF-8 converts" tokenize utf16.txt --tokenizer bpe:300
head -c 3000 /dev/zero | tr '\0' '\377' >noise.txt
refused "invalid bytes" "noise.txt: not a text in UTF-8: 3000 of its first 3000 bytes are invalid" tokenize noise.txt --tokenizer bpe:300
printf 'gar\xe7on\n%s' "$(cat text.txt)" >latin1.txt
refused "Latin-1" "latin1.txt: byte 3: 0xE7 does not begin a valid UTF-8 character" tokenize latin1.txt --tokenizer char
check "… whose conversion works as printed" bash -c "$(sed 's/.*converted by: //' err.txt) >utf8.txt && \"\$0\" tokenize utf8.txt -o data --force --tokenizer char" "$HANDGRAD"

# --- compressed files, pipes, JSON lines: the same tokens ---
tokens() { "$HANDGRAD" inspect "$1"/train-00000.h5 --json | sed -E 's/.*"sha256":"([0-9a-f]*)","(documents|sources)".*/\1/'; }
same() { # same NAME TEXT ARGUMENT…: TEXT gives the tokens of plain
    local name=$1 text=$2
    shift 2
    check "$name" "$HANDGRAD" tokenize "$text" -o other --force --tokenizer bpe:300 "$@"
    check "… and the same tokens" test "$(tokens other)" = "$(tokens plain)"
}
for i in $(seq 200); do cat text.txt; done >long.txt # more than one piece
"$HANDGRAD" tokenize long.txt -o plain --tokenizer bpe:300 >/dev/null
for format in gzip bzip2 xz zstd; do
    command -v $format >/dev/null || continue
    { head -c 1000000 long.txt | $format; tail -c +1000001 long.txt | $format; } >compressed
    same "$format, two streams in one file" compressed
    head -c $(($(stat -c %s compressed) - 9)) compressed >cut
    refused "a cut file ($format)" "cut: damaged compressed file: " tokenize cut --tokenizer char
    $format </dev/null >nothing
    refused "nothing, compressed by $format" "nothing: no text" tokenize nothing --tokenizer char
done
same "standard input" - <long.txt
same "a pipe" <(gzip -c long.txt)
awk 'BEGIN { for (i = 0; i < 500; i++) printf "%d is document %d\n", i, i }' >lines
sed 's/.*/{"id": 1, "text": "&"}/' lines >lines.jsonl
"$HANDGRAD" tokenize lines -o plain --force --tokenizer bpe:300 --document-separator '\n' >printed
check "documents" grep -q '^500 documents: ' printed
same "JSON lines" lines.jsonl
gzip -k lines.jsonl
same "compressed JSON lines" lines.jsonl.gz
same "JSON lines from a pipe" - --json-field text <lines.jsonl
sed 's/"text"/"body"/' lines.jsonl >body.jsonl
same "another field" body.jsonl --json-field body
refused "a missing field" 'body.jsonl: line 1: expected a JSON object with a string "text" \(--json-field names the field\)' tokenize body.jsonl
mkdir tree && cp text.txt tree/a && ln -s a tree/b && ln -s .. tree/c && ln tree/a tree/d && ln -s none tree/e
mv tree/c c && mkdir tree/sub && ln -s .. tree/sub/loop
check "links are followed once" bash -c '"$0" tokenize tree -o links --tokenizer char 2>err | grep -q "^1 file, "' "$HANDGRAD"
check "… the others are named" test "$(sort err)" = "$(printf 'handgrad: skipping tree/%s\n' 'b: the same file as tree/a' 'd: the same file as tree/a' 'e: a link to nothing' 'sub/loop: a link to a directory that contains it')"

# --- a byte-order mark is no part of the text ---
{ printf '\xef\xbb\xbf'; cat text.txt; } >mark.txt
for kind in byte char bpe:300; do
    "$HANDGRAD" tokenize text.txt -o plain --force --tokenizer $kind >/dev/null
    check "a byte-order mark is reported ($kind)" bash -c '"$0" tokenize mark.txt -o marked --force --tokenizer "$1" 2>&1 | grep "^handgrad: mark.txt: a byte-order mark is dropped$"' "$HANDGRAD" $kind
    check "… and dropped" test "$(tokens plain)" = "$(tokens marked)"
done

# --- a prompt longer than the context uses all of the context ---
printf '[model]\nn_layer = 1\nn_head = 2\nn_embd = 16\nblock_size = 8\n[data]\ndir = plain\n[train]\nbatch_size = 8\nsteps = 60\n' >c.ini
"$HANDGRAD" tokenize text.txt -o plain --force --tokenizer char >/dev/null
"$HANDGRAD" train c.ini --out run >/dev/null
next() { "$HANDGRAD" sample run/best.h5 -n 1 -t 0 -p "$1" 2>/dev/null | tail -c +$((${#1} + 1)) | head -c 1; }
same=0
for i in 1 2 3 4 5 6 7 8 9 10; do
    long="line $i, weight line 1$i"
    [ "$(next "$long")." = "$(next "${long: -8}")." ] && same=$((same + 1))
done
check "a long prompt is continued from its last block_size tokens" test $same -eq 10
check "… and said to be cut" bash -c '"$0" sample run/best.h5 -n 1 -p "line 1, weight" 2>&1 >/dev/null | grep "^handgrad: --prompt: only the last 8 of its 14 tokens fit into block_size$"' "$HANDGRAD"

# --- a run directory stands for its best checkpoint, or for the newest ---
check "sample takes a run directory" bash -c 'test "$("$0" sample run -n 20 2>err)" = "$("$0" sample run/best.h5 -n 20)" && grep -qx "handgrad: using run/best.h5" err' "$HANDGRAD"
cp -r run unmeasured && rm unmeasured/best.h5
check "… without best.h5 the newest checkpoint" bash -c '"$0" inspect unmeasured 2>&1 | grep -qx "handgrad: using unmeasured/ckpt-60.h5"' "$HANDGRAD"

# --- mistyped names, data that is missing, a stop in the past ---
says() { # says NAME PATTERN COMMAND…: the command fails, and its first line of stderr matches
    local name=$1 pattern=$2
    shift 2
    if "$@" >out.txt 2>err.txt || ! head -n 1 err.txt | grep -qE "$pattern"; then echo "not ok - $name"; else echo "ok - $name"; fi
}
says "a mistyped command" "^handgrad: 'sampel': unknown command; did you mean sample\\? " "$HANDGRAD" sampel
says "no suggestion for another word" "^handgrad: 'xyzzy': unknown command; handgrad --help" "$HANDGRAD" xyzzy
says "a mistyped operation" "'layernrom': unknown operation; did you mean layernorm\\? " "$HANDGRAD" gradcheck layernrom
refused "data that was not tokenized" "data.dir: none/tokenizer.h5: No such file or directory; .handgrad tokenize TEXT -o none. writes the data" \
    "$HANDGRAD" train c.ini --out no --set data.dir=none
"$HANDGRAD" train c.ini --out early --stop-at 5 >/dev/null
check "a stop in the past says that nothing was trained" bash -c '"$0" train --out early --resume --stop-at 3 | grep -qx "step 5 is past --stop-at 3: nothing was trained"' "$HANDGRAD"

# --- a template compiles with the command that it contains ---
"$HANDGRAD" gradcheck --template layernorm -o my.c >/dev/null
check "the template's own command compiles it" bash -c "$(sed -n '3s/^ \* *//p' my.c) && test -e my.so"
