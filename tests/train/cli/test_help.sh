#!/usr/bin/env bash
# The manual page and the completions say what the commands say, and are well formed.
set -u
cd "$(dirname "$0")/../../.." || exit 1
: "${HANDGRAD:=$PWD/handgrad}"
export HANDGRAD
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
check() { # check NAME COMMAND…
    local name=$1
    shift
    if "$@" >"$work/out" 2>&1; then echo "ok - $name"; else
        echo "not ok - $name"
        sed 's/^/#   /' "$work/out"
    fi
}
for form in man bash zsh; do
    check "$form is made" sh -c "DATE='January 1, 2000' awk -f docs/man/man.awk -v form=$form >'$work/$form'"
done
# (from its standard input: mandoc takes a dot and a digit anywhere in a path for a section)
check "the manual page has no fault" sh -c "mandoc -T lint -W warning <'$work/man'"
mandoc -T utf8 "$work/man" | sed 's/.\x08//g' >"$work/text"
commands=$("$HANDGRAD" --help | sed -nE 's/^  ([a-z]+)  .*/\1/p')
missing=0
for c in $commands; do
    for o in $("$HANDGRAD" "$c" --help | grep -oE '^ +(-., )?--[a-z-]+' | grep -oE -- '--[a-z-]+'); do
        for f in text bash zsh; do grep -qe "$o" "$work/$f" || { missing=1 && echo "#   $c $o is not in $f"; }; done
    done
done
check "every option of every command is in all three" test "$missing" -eq 0 -a -n "$commands"
check "every option says what it does" sh -c "! awk '/^\.It Fl/ { t = 1; next } t && /^\$/ { bad = 1 } { t = 0 } END { exit !bad }' '$work/man'"
check "zsh reads its own" zsh -n "$work/zsh"

complete_() { # what bash offers after these words; the last is the one begun
    (
        source "$work/bash"
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*"
        COMP_POINT=${#COMP_LINE} COMPREPLY=()
        _handgrad 2>/dev/null
        echo "${COMPREPLY[*]}"
    )
}
check "a command" test "$(complete_ handgrad le)" = lens
check "an option" test "$(complete_ handgrad lens --la)" = "--layer="
check "an operation" test "$(complete_ handgrad gradcheck layer)" = layernorm
check "words of an option" test "$(complete_ handgrad tokenize --tokenizer=b)" = "byte bpe:"
check "keys of the configuration" test "$(complete_ handgrad train --set=model.n_h)" = "model.n_head="
touch "$work/one.h5"
check "files" test "$(cd "$work" && source ./bash && COMP_WORDS=(handgrad lens on) COMP_CWORD=2 COMP_LINE='handgrad lens on' COMP_POINT=16 && _handgrad 2>/dev/null; echo "${COMPREPLY[*]}")" = one.h5
