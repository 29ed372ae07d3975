#!/usr/bin/env bash
# The n-th allocation of handgrad's own code fails, once and from then on: one line, never a crash, and no half of a file. Then those
# of libhdf5, whose crashes are counted apart and have to stay in the child that it works in.
here=$(cd "$(dirname "$0")" && pwd); . "$here/lib.sh"
cd "$work" || exit 1
exec 2> stderr.log
make_project "$work"
"$HANDGRAD" init c.ini -o m.h5 > /dev/null || exit 1
"$HANDGRAD" train c.ini --out base --stop-at 2 > /dev/null || exit 1
seq 1 20 > ids

sweep() { # NAME COMMAND…
    local name=$1 n count tried=0 crashed=0 silent=0; shift
    rm -rf run && cp -r base run
    FAULT_COUNT=count LD_PRELOAD="$TOOLS/shim.so" "$@" > /dev/null 2>&1
    count=$(head -n 1 count)
    for n in $(seq 1 $(( LONG ? 1 : 1 + count / 40 )) "$count"); do
        for fault in malloc malloc-from; do
            rm -rf run out.h5 && cp -r base run
            FAULT=$fault:$n LD_PRELOAD="$TOOLS/shim.so" timeout 60 "$@" > /dev/null 2> err.log
            code=$?; tried=$((tried + 1))
            if [ $code -ge 124 ]; then crashed=$((crashed + 1)); echo "# $name, $fault:$n: status $code"
            elif [ $code -ne 0 ] && ! grep -q '^handgrad: ' err.log; then silent=$((silent + 1)); echo "# $name, $fault:$n: no line"; fi
        done
    done
    ok $((crashed + silent + (count < 5))) "$name: $tried runs over $count allocations of its own: $crashed crashes, $silent without a line"
}
sweep inspect "$HANDGRAD" inspect --verify m.h5
sweep shard "$HANDGRAD" inspect --verify data/train-00000.h5
sweep init "$HANDGRAD" init c.ini -o out.h5
sweep eval "$HANDGRAD" eval m.h5 data
sweep sample "$HANDGRAD" sample m.h5 --tokens 3
sweep resume "$HANDGRAD" train --out run --resume --stop-at 3

# Of libhdf5's, at most 100 places of each command.
crashed=0 kept=0 refused=0 planted=0
apart() {
    local n count
    rm -rf run out.h5 && cp -r base run
    FAULT_IN=libhdf5 FAULT_COUNT=count LD_PRELOAD="$TOOLS/shim.so" "$@" > /dev/null 2>&1
    count=$(head -n 1 count)
    [ "$count" -lt 1 ] && count=300 # where only the child calls it, whose count nobody sees
    for n in $(seq 1 $(( 1 + count / (LONG ? 100 : 12) )) "$count"); do
        rm -rf run out.h5 && cp -r base run
        FAULT_IN=libhdf5 FAULT=malloc-from:$n LD_PRELOAD="$TOOLS/shim.so" timeout 60 "$@" > /dev/null 2> err.log
        code=$? planted=$((planted + 1))
        grep -q 'crashed the process' err.log && kept=$((kept + 1))
        if [ $code -ge 124 ]; then crashed=$((crashed + 1)); elif [ $code = 1 ] && grep -q '^handgrad: ' err.log; then refused=$((refused + 1)); fi
    done
}
apart "$HANDGRAD" inspect m.h5
apart "$HANDGRAD" inspect data/train-00000.h5
ok $crashed "libhdf5's own, where it reads: $planted runs: $kept crashes kept in the child, $crashed of ours, $refused told"
crashed=0 kept=0 refused=0 planted=0
apart "$HANDGRAD" init c.ini -o out.h5
ok $((crashed + !kept)) "libhdf5's own, where it lays a checkpoint out: $planted runs: $kept crashes kept in the child, $crashed of ours, $refused told"
exit $failed
