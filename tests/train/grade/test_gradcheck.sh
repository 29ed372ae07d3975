#!/usr/bin/env bash
# handgrad gradcheck as a person uses it: the whole table, the mistakes, the sweep, JSON, misuse; and docs/derivations.md names every
# planted mistake. Prints "ok - …" or "not ok - …" for each check.
set -u
cd "$(dirname "$0")/../../.." || exit 1
: "${HANDGRAD:=$PWD/handgrad}"
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

result() { # result NAME STATUS: ok where the status is 0
    if [ "$2" -eq 0 ]; then echo "ok - $1"; else
        echo "not ok - $1"
        tail -n 20 "$work/out.txt" | sed 's/^/#   /'
    fi
}

# Under valgrind, fifty times slower, a few operations stand for all.
ops='' rows=70
[[ ${WRAPPER:-} == *valgrind* ]] && ops='embedding layernorm softmax' rows=10

# shellcheck disable=SC2086
"$HANDGRAD" gradcheck $ops >"$work/out.txt" 2>&1
result "every operation and the model" $?
grep -qE '^[0-9]+ comparisons, 0 failed' "$work/out.txt"
result "nothing failed, and says so" $?
[ "$(grep -c ' ok$' "$work/out.txt")" -gt $rows ] && ! grep -q WRONG "$work/out.txt"
result "a row for every tensor" $?

# shellcheck disable=SC2086
"$HANDGRAD" gradcheck $ops --mistakes --json >"$work/out.txt" 2>&1
result "every planted mistake is caught" $?
planted=$(grep -c '"mistake": ' "$work/out.txt")
[ "$planted" -ge $((rows < 70 ? 15 : 30)) ] && grep -q "^{\"caught\": $planted, \"planted\": $planted," "$work/out.txt"
result "caught of planted: all of $planted" $?
sed -n 's/.*"mistake": "\(.*\)", "caught".*/\1/p' "$work/out.txt" | sort -u | while read -r name; do
    grep -qF -- "- **$name**: " docs/derivations.md || echo "$name"
done >"$work/missing.txt"
cp "$work/missing.txt" "$work/out.txt"
[ ! -s "$work/missing.txt" ]
result "docs/derivations.md has every mistake" $?

"$HANDGRAD" gradcheck softmax adamw --json >"$work/out.txt" 2>&1 && ! grep -v '^{"op":"\(softmax\|adamw\)".*"ok":true}$' "$work/out.txt"
result "JSON, of two operations" $?

# The bottom of the V in double lies below 1e-9, its arm of rounding above 1e-3; the complex step stays flat.
"$HANDGRAD" gradcheck layernorm --sweep -o "$work/sweep.svg" >"$work/out.txt" 2>&1 &&
    awk '$1 == "1e-05" && $3 < 1e-9 { v++ } $1 == "1e-14" && $3 > 1e-3 { v++ } $1 ~ /^1e-(0[89]|1.)$/ && $4 < 1e-14 { v++ }
         $1 == "1e-02" && $2 < 1e-3 { v++ } $1 == "1e-06" && $2 > 1e-2 { v++ } END { exit v != 13 }' "$work/out.txt"
result "the sweep: a V, and a floor" $?
# three colours occur twice each: in a curve and in the legend
grep -q '^<svg ' "$work/sweep.svg" && [ "$(grep -o 'stroke:rgb([^)]*)' "$work/sweep.svg" | sort | uniq -c | grep -c '^ *2 ')" -eq 3 ] &&
    ! grep -q 'nan\|inf' "$work/sweep.svg"
result "the sweep's picture" $?

"$HANDGRAD" gradcheck nothing >"$work/out.txt" 2>&1
[ $? -eq 2 ]
result "an unknown operation is a misuse" $?
"$HANDGRAD" gradcheck --template model >"$work/out.txt" 2>&1
[ $? -eq 2 ] && grep -q "'model' is not a single operation" "$work/out.txt"
result "the model has no template" $?
"$HANDGRAD" gradcheck --diagnose softmax >"$work/out.txt" 2>&1
[ $? -eq 2 ]
result "--diagnose without a file is a misuse" $?
"$HANDGRAD" gradcheck --sweep -o /nowhere/x.svg >"$work/out.txt" 2>&1
[ $? -eq 1 ] && grep -q '^handgrad: /nowhere/x.svg: ' "$work/out.txt"
result "a picture that cannot be written" $?
