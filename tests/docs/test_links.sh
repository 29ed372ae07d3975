#!/usr/bin/env bash
# The documents refer to what exists: every relative link has a target, every anchor a heading, and
# every source file that is named in backquotes is in the tree. Names with a placeholder in capitals
# (model/NAME.c) are not checked.
set -u
cd "$(dirname "$0")/../.." || exit 1
documents=(*.md docs/*.md)

# slugs FILE: the anchors of its headings, as GitHub makes them
slugs() {
    sed -n 's/^##* //p' "$1" | tr '[:upper:]' '[:lower:]' | tr -d '`' | sed 's/[^a-z0-9 _-]//g; s/ /-/g'
}

# broken FILE: its links and names that lead nowhere
broken() {
    local directory target anchor file name
    directory=$(dirname "$1")
    while read -r target; do
        anchor=${target#*#} file=${target%%#*}
        [ "$anchor" = "$target" ] && anchor=
        file=${file:+$directory/$file}
        if [ ! -e "${file:-$1}" ]; then
            echo "link to $target: no such file"
        elif [ -n "$anchor" ] && ! slugs "${file:-$1}" | grep -qxF -- "$anchor"; then
            echo "link to $target: no such heading"
        fi
    done < <(grep -oE '\]\([^)]+\)' "$1" | sed 's/^](//; s/)$//' | grep -v '^https\?:')
    while read -r name; do
        [ -e "$name" ] || echo "$name: no such file"
    done < <(grep -oE '`(base|configs|data|docs|include|model|optim|tests|train|web)/[a-z0-9_/.-]+\.(c|h|sh|md|def|ini|js|py)`' "$1" |
        tr -d '`' | sort -u)
}

for document in "${documents[@]}"; do
    found=$(broken "$document")
    if [ -z "$found" ]; then
        echo "ok - $document"
    else
        echo "not ok - $document"
        sed 's/^/#   /' <<<"$found"
    fi
done
