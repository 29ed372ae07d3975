#!/usr/bin/env bash
# handgrad gradcheck: all operations, the planted mistakes, the sweep, JSON, and wrong usage; and
# docs/derivations.md lists exactly the planted mistakes. Prints "ok - …" or "not ok - …" for each
# check.
set -u
cd "$(dirname "$0")/../../.." || exit 1
: "${HANDGRAD:=$PWD/handgrad}"
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

result() { # result NAME STATUS: ok if the status is 0
    if [ "$2" -eq 0 ]; then echo "ok - $1"; else
        echo "not ok - $1"
        tail -n 20 "$work/out.txt" | sed 's/^/#   /'
    fi
}

"$HANDGRAD" gradcheck >"$work/out.txt" 2>&1
result "every operation and the model" $?
grep -qE '^[0-9]+ comparisons, 0 failed' "$work/out.txt"
result "the last line counts no failures" $?
[ "$(grep -c ' ok$' "$work/out.txt")" -gt 70 ] && ! grep -q WRONG "$work/out.txt"
result "a row for every tensor" $?

"$HANDGRAD" gradcheck softmax adamw --json >"$work/out.txt" 2>&1 &&
    ! grep -v '^{"op":"\(softmax\|adamw\)".*"ok":true}$' "$work/out.txt"
result "JSON of two operations" $?

# The error of central differences is V-shaped over the step: in double its minimum is below 1e-9,
# and rounding makes it exceed 1e-3 at small steps. The error of the complex step is constant.
"$HANDGRAD" gradcheck layernorm --sweep -o "$work/sweep.svg" >"$work/out.txt" 2>&1 &&
    awk '$1 == "1e-05" && $3 < 1e-9 { v++ }
         $1 == "1e-14" && $3 > 1e-3 { v++ }
         $1 ~ /^1e-(0[89]|1.)$/ && $4 < 1e-14 { v++ }
         $1 == "1e-02" && $2 < 1e-3 { v++ }
         $1 == "1e-06" && $2 > 1e-2 { v++ }
         END { exit v != 13 }' "$work/out.txt"
result "the sweep: a V, and a constant error" $?
# three colours occur twice each: in a curve and in the legend
colours=$(grep -o 'stroke:rgb([^)]*)' "$work/sweep.svg" | sort | uniq -c | grep -c '^ *2 ')
grep -q '^<svg ' "$work/sweep.svg" && [ "$colours" -eq 3 ] && ! grep -q 'nan\|inf' "$work/sweep.svg"
result "the sweep's picture" $?

"$HANDGRAD" gradcheck nothing >"$work/out.txt" 2>&1
[ $? -eq 2 ]
result "wrong usage: an unknown operation" $?
"$HANDGRAD" gradcheck --template model >"$work/out.txt" 2>&1
[ $? -eq 2 ] && grep -q "'model' is not a single operation" "$work/out.txt"
result "wrong usage: a template of the model" $?
"$HANDGRAD" gradcheck --diagnose softmax >"$work/out.txt" 2>&1
[ $? -eq 2 ]
result "wrong usage: --diagnose without a file" $?
"$HANDGRAD" gradcheck --sweep -o /nowhere/x.svg >"$work/out.txt" 2>&1
[ $? -eq 1 ] && grep -q '^handgrad: /nowhere/x.svg: ' "$work/out.txt"
result "an error: a picture that cannot be written" $?

if [ -n "${SANITIZED:-}" ]; then # the same code as without sanitizers, and minutes of it
    echo "ok - the planted mistakes # skip a build with sanitizers"
    exit
fi
"$HANDGRAD" gradcheck --mistakes --json >"$work/out.txt" 2>&1
result "every planted mistake is detected" $?
planted=$(grep -c '"mistake": ' "$work/out.txt")
[ "$planted" -ge 30 ] && grep -q "^{\"caught\": $planted, \"planted\": $planted," "$work/out.txt"
result "the last line counts all $planted" $?

# "SECTION: NAME" of every planted mistake and of every bullet "- **NAME**: …" in the derivations
sed -nE 's/^\{"op": "([a-z0-9_]*)", "mistake": "(.*)", "caught".*/\1: \2/p' "$work/out.txt" |
    sed 's/^gelu_[a-z]*:/gelu:/; s/^model:/the whole model:/' | sort -u >"$work/planted.txt"
awk '/^## / { section = tolower(substr($0, 4)) }
     section != "how it is checked" && match($0, /^- \*\*.*\*\*:/) {
         print section ": " substr($0, 5, RLENGTH - 7) }' docs/derivations.md |
    sort >"$work/derived.txt"
diff "$work/planted.txt" "$work/derived.txt" >"$work/out.txt"
result "docs/derivations.md lists exactly the planted mistakes, in the right sections" $?

# "NAME: REASON" of every entry in model/check/mistakes and of every bullet; these may be wrapped
awk '/^ops:/ { next } /^[a-z]/ { sub(/^[a-z0-9_]*: /, ""); name = $0; getline; sub(/^ */, ""); print name ": " $0 }' \
    model/check/mistakes/*.txt | sort -u >"$work/planted.txt"
awk 'function flush() { if (bullet) print bullet; bullet = "" }
     /^- \*\*/ { flush(); sub(/^- \*\*/, ""); sub(/\*\*:/, ":"); bullet = $0; next }
     bullet && /^  [^ ]/ { sub(/^ */, " "); bullet = bullet $0; next } { flush() } END { flush() }' \
    docs/derivations.md | tr -d '`' | sort -u >"$work/derived.txt"
tr -d '`' <"$work/planted.txt" | comm -23 - "$work/derived.txt" >"$work/out.txt"
[ "$(wc -l <"$work/planted.txt")" -gt 60 ] && [ ! -s "$work/out.txt" ]
result "… with the reasons of model/check/mistakes" $?
