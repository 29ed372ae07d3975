#!/usr/bin/env bash
# The N-th allocation of handgrad's own code fails, alone or with all that follow: one error line,
# never a crash. The same for allocations of libhdf5, whose crashes must be contained by the child
# process and are counted separately.
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
            elif [ $code -ne 0 ] && ! grep -q '^handgrad: ' err.log; then silent=$((silent + 1)); echo "# $name, $fault:$n: no error line"; fi
        done
    done
    ok $((crashed + silent + (count < 5))) "$name: $tried runs over $count of our allocations: $crashed crashes, $silent without a message"
}
sweep inspect "$HANDGRAD" inspect --verify m.h5
sweep shard "$HANDGRAD" inspect --verify data/train-00000.h5
sweep init "$HANDGRAD" init c.ini -o out.h5
sweep eval "$HANDGRAD" eval m.h5 data
sweep sample "$HANDGRAD" sample m.h5 --tokens 3
sweep resume "$HANDGRAD" train --out run --resume --stop-at 3

# Allocations of libhdf5: at most 100 of each command.
crashed=0 contained=0 refused=0 planted=0
fail_hdf5() {
    local n count
    rm -rf run out.h5 && cp -r base run
    FAULT_IN=libhdf5 FAULT_COUNT=count LD_PRELOAD="$TOOLS/shim.so" "$@" > /dev/null 2>&1
    count=$(head -n 1 count)
    [ "$count" -lt 1 ] && count=300 # if only the child calls it, its count is unknown
    for n in $(seq 1 $(( 1 + count / (LONG ? 100 : 12) )) "$count"); do
        rm -rf run out.h5 && cp -r base run
        FAULT_IN=libhdf5 FAULT=malloc-from:$n LD_PRELOAD="$TOOLS/shim.so" timeout 60 "$@" > /dev/null 2> err.log
        code=$? planted=$((planted + 1))
        grep -q 'crashed the sandboxed process' err.log && contained=$((contained + 1))
        if [ $code -ge 124 ]; then crashed=$((crashed + 1)); elif [ $code = 1 ] && grep -q '^handgrad: ' err.log; then refused=$((refused + 1)); fi
    done
}
fail_hdf5 "$HANDGRAD" inspect m.h5
fail_hdf5 "$HANDGRAD" inspect data/train-00000.h5
ok $crashed "libhdf5 while reading: $planted runs: $contained crashes contained, $crashed of ours, $refused reported"
crashed=0 contained=0 refused=0 planted=0
fail_hdf5 "$HANDGRAD" init c.ini -o out.h5
ok $((crashed + !contained)) "libhdf5 while laying out a checkpoint: $planted runs: $contained crashes contained, $crashed of ours, $refused reported"
exit $failed
