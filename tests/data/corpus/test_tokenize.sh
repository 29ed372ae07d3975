#!/usr/bin/env bash
# handgrad tokenize from the outside: what it writes, what it refuses and in which words, and what a kill leaves.
set -u
export LC_ALL=C.UTF-8 # wc -m counts characters
handgrad=${HANDGRAD:-./handgrad}
handgrad=$(realpath "$handgrad")
dir=$(mktemp -d /tmp/handgrad-tokenize-XXXXXX)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir" || exit 1
failures=0

ok() { # ok WHAT COMMAND…: the command succeeds
    local what=$1
    shift
    if "$@" >new 2>err; then echo "ok - $what"; else
        echo "not ok - $what: $(cat err)"
        failures=$((failures + 1))
    fi
    [ ! -s new ] || mv new out # for `says`
}
# refused WHAT STATUS TEXT COMMAND…: it fails with this status and a message that contains TEXT: one line, or for status 2 (wrong
# usage) a line followed by a hint at --help
refused() {
    local what=$1 status=$2 text=$3 got
    shift 3
    "$@" >out 2>err
    got=$?
    if [ $got -eq "$status" ] && { [ "$status" -eq 2 ] || [ "$(wc -l <err)" -eq 1 ]; } && head -n 1 err | grep -E '^handgrad( tokenize)?: ' | grep -qF -- "$text"; then
        echo "ok - $what"
    else
        echo "not ok - $what: status $got, $(cat err)"
        failures=$((failures + 1))
    fi
}
tokenize() { "$handgrad" tokenize "$@"; }
says() { grep -qF -- "$1" out; }
same() { diff -r "$1" "$2" >/dev/null; }
holds_nothing() { [ ! -e "$1" ] || [ -z "$(ls -A "$1")" ]; }

# --- what it writes ---
for i in $(seq 3000); do echo "Zeile $i: grüße, 你好, 😀"; done >text.txt
cp text.txt first && sleep 1.1
ok "char" tokenize text.txt -o char --tokenizer char
ok "it says what it read" says "1 file, $(wc -c <text.txt) bytes: $(wc -m <text.txt) tokens"
ok "and how it divided it" says "train $(($(wc -m <text.txt) * 9 / 10)), val $(($(wc -m <text.txt) - $(wc -m <text.txt) * 9 / 10)) tokens in char"
ok "again, later" tokenize text.txt -o char2 --tokenizer char
ok "equal input, equal bytes" same char char2
ok "byte" tokenize text.txt -o byte --tokenizer byte --val 0.25
ok "its bytes are its tokens" says "$(wc -c <text.txt) bytes: $(wc -c <text.txt) tokens of a vocabulary of 256 (byte)"
ok "no val split" tokenize text.txt -o noval --tokenizer byte --val 0
ok "no val shard then" test ! -e noval/val-00000.h5 -a -e noval/train-00000.h5
ok "an existing tokenizer" tokenize first -o reused --tokenizer char/tokenizer.h5
ok "is copied as it is" cmp char/tokenizer.h5 reused/tokenizer.h5

printf 'a\xc3\xa9b' >e.txt
ok "the cut is moved to the beginning of a character" tokenize e.txt -o cut --tokenizer byte --val 0.5
ok "so that none is halved" says "train 1, val 3 tokens"
ok "a char token is a whole one" tokenize e.txt -o cut2 --tokenizer char --val 0.3
ok "so that the cut may stand" says "train 2, val 1 tokens"

mkdir -p folder/b folder/.git && printf 'a' >folder/a && printf 'c' >folder/b/c && printf 'd' >folder/d && printf 'x' >folder/.x
printf '\xff' >folder/.git/x
ok "a folder" tokenize folder -o folder/out --tokenizer char --val 0
ok "without hidden files" says "3 files, 3 bytes: 3 tokens of a vocabulary of 3"
ok "once more, now with its own output in it" tokenize folder -o folder/out --tokenizer char --val 0 --force
ok "which is not text" says "3 files, 3 bytes"
ids=$(printf '\0\0\1\0\2\0' | sha256sum | cut -c 1-64)
ok "sorted by name, and nothing in between" grep -qa "$ids" folder/out/train-00000.h5
printf 'acd' >acd
ok "into the folder of the text" tokenize folder/a -o folder --tokenizer byte --val 0

yes x | tr -d '\n' | head -c 100 >hundred.txt
for val in 0.07 0.14 0.28 0.29 0.55 0.56 0.57 0.58; do # 100 (1 - val) is rounded down in doubles
    ok "--val $val of 100" tokenize hundred.txt -o hundred --force --tokenizer byte --val $val
    ok "… is exact" says "train $((100 - 10#${val#0.})), val $((10#${val#0.})) tokens"
done

# --- what it refuses ---
refused "a missing file" 1 "none: No such file or directory" tokenize none -o x --tokenizer char
: >empty
refused "an empty text" 1 "empty: no text: 1 file with 0 bytes" tokenize empty -o x --tokenizer char
printf 'ab\xffcd' >bad
for size in 0 256 "" 8k 99999999999999999999; do # found before the text is
    refused "bpe:$size" 1 "--tokenizer bpe:$size: expected a number of tokens from 257 to" tokenize empty -o x --tokenizer "bpe:$size"
done
refused "too few tokens for those that are special" 1 "expected a number of tokens from 258 to" tokenize empty -o x --tokenizer bpe:257 --special '<|x|>'
refused "an empty text for bpe" 1 "empty: no text: 1 file with 0 bytes" tokenize empty -o x --tokenizer bpe:257
refused "invalid UTF-8, char" 1 "bad: byte 2: 0xFF does not begin a valid UTF-8 character" tokenize bad -o x --tokenizer char
refused "invalid UTF-8, byte" 1 "bad: byte 2: 0xFF does not begin a valid UTF-8 character" tokenize bad -o x --tokenizer byte
printf 'ab\xe2\x82' >half
refused "half a character at the end" 1 "half: byte 2: the file ends inside" tokenize half -o x --tokenizer byte
printf 'xyz' >xyz
ok "another alphabet" tokenize xyz -o xyz.d --tokenizer char --val 0
refused "a character unknown to the tokenizer" 1 'acd: byte 0: U+0061 "a" is not among the 3 symbols' tokenize acd -o x --tokenizer xyz.d/tokenizer.h5
refused "a text file as a tokenizer" 1 "acd: not a tokenizer" tokenize acd -o x --tokenizer acd
refused "a tokenizer that is missing" 1 "not byte, char, bpe or bpe:SIZE" tokenize acd -o x --tokenizer bits
refused "a text too short to split" 1 "1 tokens are too few" tokenize folder/a -o x --tokenizer char
refused "a device" 1 "not a file, a pipe or a directory" tokenize /dev/null -o x --tokenizer char
mkdir -p none.d/.git
refused "a folder without text" 1 "none.d: no files in this directory" tokenize none.d -o x --tokenizer char
ok "none of them leaves a folder" holds_nothing x
refused "shards that are there" 1 "char: already holds shards or a tokenizer (--force replaces them)" tokenize text.txt -o char --tokenizer char
ok "they stay" same char char2
refused "a file for a folder" 1 "acd: Not a directory" tokenize text.txt -o acd --tokenizer char
refused "a folder that cannot be made" 1 "cannot create this directory" tokenize text.txt -o acd/x --tokenizer char
refused "an output as text" 1 "tokenize would overwrite this file" tokenize char/train-00000.h5 -o char --tokenizer byte --force
if [ "$(id -u)" -ne 0 ]; then
    mkdir locked && chmod 555 locked
    refused "an unwritable folder" 1 "locked: cannot write to this folder: Permission denied" tokenize text.txt -o locked --tokenizer char
fi
refused "an unwritable file system" 1 "/proc/handgrad: cannot create this directory" tokenize text.txt -o /proc/handgrad --tokenizer char
for val in 1 -0.1 1.5 nan x "" 0.1x; do
    refused "--val=$val" 2 "expected a number" tokenize text.txt -o x --tokenizer char --val="$val"
done
refused "no text" 2 "TEXT is missing" tokenize -o x --tokenizer char
refused "no folder" 2 "--output DIR is missing" tokenize text.txt --tokenizer char
refused "a pattern for bytes" 2 "--pattern and --special are only valid for bpe, not for byte" tokenize text.txt -o x --tokenizer byte --pattern gpt4
refused "a special token among characters" 2 "--pattern and --special are only valid for bpe, not for char" tokenize text.txt -o x --tokenizer char --special '<|x|>'
tokenize text.txt -o x --tokenizer char --nonsense >out 2>err
ok "an unknown option is misuse" test $? -eq 2
ok "--help" tokenize --help

# --- byte-pair encoding, documents, several shards ---
for i in $(seq 400); do printf 'Document %d.\nIts text: grüße, %d times.\n\n' "$i" $((i * i)); done >documents.txt
bpe() { OMP_NUM_THREADS=$1 tokenize documents.txt -o "$2" --tokenizer bpe:300 --shard-tokens 2000 --document-separator '\n\n' --val 0.25; }
ok "bpe, on one thread" bpe 1 bpe1
ok "it counts the documents" says "400 documents"
ok "bpe, on three" bpe 3 bpe3
ok "the same bytes" same bpe1 bpe3
ok "as many shards as it takes" test -e bpe1/train-00002.h5 -a -e bpe1/val-00000.h5
ok "each holds together" eval 'for f in bpe1/*.h5; do "$handgrad" inspect "$f" --verify || exit 1; done'
# begins NAME: the tokens, counted over the split, that begin a document
begins() { for f in bpe1/"$1"-*.h5; do h5dump -d /documents -y "$f" 2>/dev/null | grep -oE '^ +[0-9][0-9, ]*' | tr -cs '0-9' '\n' | grep -c .; done | awk '{ n += $1 } END { print n }'; }
command -v h5dump >/dev/null && ok "/documents begins every document once" test $(($(begins train) + $(begins val))) -eq 400
documents() { for f in bpe1/*-*.h5; do "$handgrad" inspect "$f" --json; done | grep -oE '"documents": ?[0-9]+' | grep -oE '[0-9]+' | awk '{ n += $1 } END { print n }'; }
ok "inspect counts them too" test "$(documents)" -eq 400
tokenize documents.txt -o x --tokenizer byte --shard-tokens 0 >out 2>err
ok "a shard of no tokens is misuse" test $? -eq 2
ok "files as documents" tokenize text.txt documents.txt -o files --tokenizer bpe:300 --document-files
ok "two of them" says "2 documents"
timeout --foreground -s INT 0.3 "$handgrad" tokenize text.txt text.txt text.txt text.txt text.txt text.txt -o stopped --tokenizer bpe:3000 >out 2>stopped.err # ok empties err
ok "Ctrl-C, or done before it, or before it listens" eval '[ -e stopped/tokenizer.h5 ] || { holds_nothing stopped && { [ ! -s stopped.err ] || [ "$(cat stopped.err)" = "handgrad: stopped" ]; }; }'

# --- how far it is ---
ok "no bar where the output is no terminal" eval 'tokenize text.txt -o quiet --tokenizer bpe:300 2>&1 >/dev/null | cmp - /dev/null'
if ! script -qec true /dev/null </dev/null >/dev/null 2>&1; then
    echo "ok - the progress bar # skip no pseudo-terminal"
else
    script -qec "'$handgrad' tokenize text.txt -o bar --tokenizer bpe:300" /dev/null </dev/null >bar.txt
    ok "on a terminal it tells how far it is" eval 'for what in reading encoding writing; do
        grep -qE "$what  [0-9]+%  [0-9.]+ of [0-9.]+ M(B|[ ]tokens)  [0-9.]+ M(B|[ ]tokens)/s  [0-9]+:[0-9][0-9] left" bar.txt || exit 1; done'
    ok "of the merges, too" grep -qE 'merging  [0-9]+%  [0-9.]+ of 300.0 merges' bar.txt
    ok "and the line is cleared before the result" grep -qF "$(printf '\r\033[K1 file,')" bar.txt
fi

# --- earlier runs, and runs cut short ---
cp -r char work && cp char/train-00000.h5 work/train-00001.h5 && cp char/train-00000.h5 work/val-00007.h5
touch work/.train-00000.h5.012abc.tmp work/notes.txt
ok "--force" tokenize text.txt -o work --tokenizer byte --val 0.25 --force
rm work/notes.txt
ok "leaves nothing of an earlier run" same work byte
cp -r char keep
refused "a text that is wrong" 1 "bad: byte 2" tokenize text.txt bad -o keep --tokenizer byte --force
ok "leaves the old shards" same keep char
refused "a text too short to split" 1 "1 tokens are too few" tokenize folder/a -o keep --tokenizer char --force
ok "leaves them too" same keep char
refused "more shards than have a name" 1 "tokens of a split make more than 99999 shards" \
    tokenize text.txt text.txt -o keep --tokenizer byte --shard-tokens 1 --force
ok "and so does that" same keep char

for i in $(seq 40); do cat text.txt; done >long.txt
killed=0
for delay in 0.02 0.05 0.1 0.15 0.2 0.3; do
    rm -rf killed
    timeout --foreground -s KILL $delay "$handgrad" tokenize long.txt -o killed --tokenizer char >/dev/null 2>&1 && continue
    [ -e killed/tokenizer.h5 ] && [ ! -e killed/val-00000.h5 ] && killed=1
done 2>/dev/null
ok "a killed run leaves no tokenizer.h5 before its shards" test $killed -eq 0
ok "and --force makes up for it" tokenize text.txt -o killed --tokenizer char --force
ok "without a trace" same killed char

(ulimit -f 8 && trap '' XFSZ && tokenize long.txt -o full --tokenizer byte 2>full.err)
ok "a full disk is named" grep -q '^handgrad: full: writing tokens: File too large' full.err
ok "and nothing stays" holds_nothing full

[ $failures -eq 0 ]
