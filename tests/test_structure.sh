#!/usr/bin/env bash
# The structure of the source: no circular dependency between directories or between files and
# directories of a reasonable size. Prints "ok - …" or "not ok - …".
set -u
cd "$(dirname "$0")/.." || exit 1

report() { # report NAME OUTPUT: ok if the output is empty
    if [ -z "$2" ]; then echo "ok - $1"; else
        echo "not ok - $1"
        sed 's/^/#   /' <<<"$2" | head -n 20
    fi
}

sources=$(find base model optim data train -name '*.[ch]')
# "FROM TO" for every include, by unit: a .c and its .h are one. model/real.h has no .c and depends
# on nothing but vector_math.h; model/gemm may include it although model includes model/gemm.
edges=$(grep -o '^#include "[^"]*"' $sources | sed -E 's/\.[ch]:#include "/ /; s/\.(h|def)"$//' |
    awk '$1 != $2 && $2 != "model/real"')

report "includes are relative to the root" \
    "$(grep -n '#include "' $sources | sed -E 's/.*"(.*)"/\1/' | sort -u | while read -r f; do [ -e "$f" ] || echo "$f"; done)"
report "directories do not depend on each other in a circle" \
    "$(sed -E 's#/[^/ ]*( |$)#\1#g' <<<"$edges" | awk '$1 != $2' | sort -u | tsort 2>&1 >/dev/null)"
report "neither do files" "$(tsort <<<"$edges" 2>&1 >/dev/null)"
report "no directory has more than 25 C sources" \
    "$(find . -name '*.c' -not -path './build*' | sed 's#/[^/]*$##' | sort | uniq -c | awk '$1 > 25')"
