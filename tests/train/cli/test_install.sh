#!/usr/bin/env bash
# After make install, the examples of the manual page work, and links of the documents have targets.
# Prints "ok - …" or "not ok - …" for each check.
set -u
cd "$(dirname "$0")/../../.." || exit 1
. tests/checks.bash
[ -z "${SANITIZED:-}" ] || { skip "make install" "a build with sanitizers" && exit; }
check "make install" make -s -C "$here" install PREFIX="$work/usr"
export PATH="$work/usr/bin:$PATH"
cat "$here"/docs/*.md >novel.txt
# the literal displays of the section EXAMPLES, shortened
sed -n '/^\.Sh EXAMPLES/,$ { /^handgrad /p }' "$here/docs/man/tail.mdoc" | sed 's/\\-/-/g; s/\\\\/\\/g' |
    sed -E 's/^handgrad train .*/& --set train.steps=5 --set train.sample_tokens=9 --set train.eval_tokens=500/
            s/^handgrad sample .*/& --tokens 9/' >examples
check "the manual has examples" test "$(wc -l <examples)" -ge 6
while read -r command; do
    case $command in *serve*) continue ;; esac # does not end
    check "the manual's $(cut -c 1-50 <<<"$command")" bash -c "$command"
done <examples
cd usr/share/doc/handgrad || exit 1
for document in *.md docs/*.md; do
    grep -oE '\]\([^)#]+' "$document" | sed 's/^](//' | grep -v '^https\?:' | while read -r target; do
        [ -e "$(dirname "$document")/$target" ] || echo "not ok - $document: no $target"
    done
done
echo "ok - links of installed documents"
