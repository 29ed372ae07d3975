#!/usr/bin/env bash
# Damaged files; see damage.c.
here=$(cd "$(dirname "$0")" && pwd); . "$here/lib.sh"
cd "$work" || exit 1
make_project "$work"
"$HANDGRAD" init c.ini -o m.h5 > /dev/null || exit 1
"$TOOLS/damage" m.h5 data/val-00000.h5 $((LONG ? 8 : 1))
