#!/usr/bin/env bash
# Power loss during a save: on every disk that it could leave, the file is the old one or the new one, and verifies.
here=$(cd "$(dirname "$0")" && pwd); . "$here/lib.sh"
cd "$work" || exit 1
make_project "$work"
replay() { # FAULT
    rm -rf states && mkdir states
    "$HANDGRAD" init c.ini --set train.seed=1 -o m.h5 > /dev/null 2>&1 || "$HANDGRAD" init c.ini -o m.h5 > /dev/null
    cp m.h5 old.h5
    sed 's/^steps.*/steps = 41/' c.ini > other.ini
    FAULT=$1 LD_PRELOAD="$TOOLS/shim.so" strace -f -qq -o log -e trace=openat,write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,close \
        "$HANDGRAD" init other.ini -o m.h5 > /dev/null 2>&1
    counts=$(perl "$here/power.pl" log old.h5 m.h5 states)
    lost=0
    for s in states/*; do
        "$HANDGRAD" inspect --verify "$s" > /dev/null 2>&1 && { cmp -s "$s" old.h5 || cmp -s "$s" m.h5; } || lost=$((lost + 1))
    done
}
replay none
ok $((lost + (${#counts} == 0))) "power loss: $counts, $lost lost"
replay no-fsync
ok $((lost == 0)) "control: a save without fsync is caught ($counts, $lost lost)"
exit $failed
