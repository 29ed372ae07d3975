#!/usr/bin/env bash
# --help, --version, the manual page and the shell completions.
set -u
cd "$(dirname "$0")/../../.." || exit 1
. tests/checks.bash
export HANDGRAD

# --- manual page and completions ---
for form in man bash zsh; do
    check "man.awk writes the $form form" sh -c "cd '$here' && DATE='January 1, 2000' awk -f docs/man/man.awk -v form=$form >'$work/$form'"
done
# mandoc reads standard input because it mistakes a dot and a digit in a path for a section.
check "mandoc accepts the manual page" sh -c "mandoc -T lint -W warning <man"
mandoc -T utf8 man | sed 's/.\x08//g' >text
commands=$("$HANDGRAD" --help | sed -nE 's/^  ([a-z]+)  .*/\1/p')
missing=0
for c in $commands; do
    for o in $("$HANDGRAD" "$c" --help | grep -oE '^ +(-., )?--[a-z-]+' | grep -oE -- '--[a-z-]+'); do
        for f in text bash zsh; do grep -qe "$o" $f || { missing=1 && echo "#   $c $o is not in $f"; }; done
    done
done
check "every option of every command is in all three forms" test "$missing" -eq 0 -a -n "$commands"
check "every option has a help text" sh -c "! awk '/^\.It Fl/ { t = 1; next } t && /^\$/ { bad = 1 } { t = 0 } END { exit !bad }' man"
check "every usage line is in the manual page" test "$(grep -c '^     handgrad .*OPTION' text)" -eq \
    "$(for c in $commands; do "$HANDGRAD" "$c" --help; done | grep -cE '^(Usage:|  or: ) handgrad ')"
check "zsh parses its completions" zsh -n zsh

complete_() { # prints what bash offers for these words; the last one is incomplete
    (
        source ./bash
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*"
        COMP_POINT=${#COMP_LINE} COMPREPLY=()
        _handgrad 2>/dev/null
        echo "${COMPREPLY[*]}"
    )
}
check "completes a command" test "$(complete_ handgrad le)" = lens
check "completes --version" test "$(complete_ handgrad --v)" = --version
check "completes an option" test "$(complete_ handgrad lens --la)" = "--layer="
check "completes an operation" test "$(complete_ handgrad gradcheck layer)" = layernorm
check "completes a workload" test "$(complete_ handgrad bench char-0)" = char-0.8M
check "completes the value of an option" test "$(complete_ handgrad tokenize --tokenizer=b)" = "byte bpe bpe:"
check "completes a configuration key" test "$(complete_ handgrad train --set=model.n_h)" = "model.n_head="
touch one.h5
check "completes a file name" test "$(complete_ handgrad lens on)" = one.h5

# --- --version ---
check "--version" "$HANDGRAD" --version
mv out.txt version.txt
version=$(sed -nE 's/^#define HANDGRAD_VERSION "(.*)"/\1/p' "$here/train/cli/version.c")
check "the first line is the version" test "$(head -n 1 version.txt)" = "handgrad $version"
describe() { git -C "$here" describe --tags --always 2>/dev/null; }
if [ -e "$here/.git" ] && describe >/dev/null; then
    check "the commit is that of the checkout" test "$(sed -nE 's/^commit +//p' version.txt | sed 's/-dirty$//')" = "$(describe)"
fi
check "compiler" grep -qE '^compiler +.*(gcc|clang).* [0-9]+\.[0-9]' <(tr A-Z a-z <version.txt)
check "number of processors" grep -qE "^processors +$(env -u OMP_NUM_THREADS nproc) × " version.txt
if [ "$(uname -m)" = x86_64 ]; then
    check "instruction sets that were compiled for" grep -qE '^compiled for +x86-64' version.txt
    for set in avx2 avx512f; do
        check "$set is listed as available if the processor has it" \
            test "$(grep -cE "^available .* $set( |$)" version.txt)" -eq "$(grep -cwm 1 $set /proc/cpuinfo)"
    done
fi
for library in OpenBLAS HDF5 zlib PCRE2 cJSON inih nettle libmicrohttpd glibc; do
    check "version of $library" grep -qE "^$library +[0-9]" version.txt
done
for library in Cairo Pango; do
    check "version of $library" grep -qE "^$library +([0-9]|not installed)" version.txt
done
check "kernel set of OpenBLAS" grep -qE '^OpenBLAS .*kernels for [A-Za-z]' version.txt
refused "lost output of --version" "^handgrad: standard output cannot be written$" sh -c '"$HANDGRAD" --version >/dev/full'
