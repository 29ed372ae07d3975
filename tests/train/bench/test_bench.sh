#!/usr/bin/env bash
# handgrad bench on the smallest model: its JSON, its shares, its error messages, and whether
# figures agree with each other. Prints "ok - …" or "not ok - …" for each check.
set -u
cd "$(dirname "$0")/../../.." || exit 1
. tests/checks.bash
[ -z "${SANITIZED:-}" ] || { skip "handgrad bench" "its operations are tested elsewhere" && exit; }

# misused NAME PATTERN ARGUMENTS…: exit 2, nothing on stdout, a first line on stderr that matches
misused() {
    local name=$1 pattern=$2
    shift 2
    "$HANDGRAD" bench "$@" >out.txt 2>err.txt
    local code=$?
    if [ $code -eq 2 ] && [ ! -s out.txt ] && head -n 1 err.txt | grep -qE -- "$pattern"; then
        echo "ok - misused: $name"
    else
        echo "not ok - misused: $name (exit $code)"
        sed 's/^/#   /' err.txt out.txt
    fi
}
# lines KIND: the number of objects of this kind; numbers KEY: the key's values in all lines
lines() { grep -c "\"kind\":\"$1\"" bench.jsonl; }
numbers() { grep -oE "\"$1\":[^,}]+" bench.jsonl | cut -d: -f2; }
# A share is the quotient of two measurements, either of which can be wrong on a busy machine. Hence
# up to three attempts.
shares_in_range() {
    numbers '(float32_share|share|roofline_share)' |
        awk '{ n++; if (!($1 > 0 && $1 <= 1.2)) { print "a share of", $1; bad = 1 } }
             END { exit bad || n < 30 }'
}
measure() { "$HANDGRAD" bench tiny --json --runs 5 >bench.jsonl 2>err.txt; }

check "a tiny workload" measure
for attempt in 2 3; do shares_in_range >/dev/null || measure; done
check "every share is in (0, 1.2]" shares_in_range
check "one object per line" \
    test "$(grep -cvE '^\{"kind":"(machine|workload|product|operation)",.*\}$' bench.jsonl)" -eq 0
command -v python3 >/dev/null &&
    check "every line is JSON" \
        python3 -c 'import json, sys; [json.loads(l) for l in open("bench.jsonl")]'
check "one machine" test "$(lines machine)" -eq 1
check "one workload" test "$(lines workload)" -eq 1
check "fifteen products on each backend" \
    test $(($(lines product) % 15)) -eq 0 -a "$(lines product)" -gt 0
check "21 operations of a step" test "$(lines operation)" -eq 21
check "as many runs as requested" grep -q '"kind":"workload".*"runs":5,' bench.jsonl
check "peak memory is that of the tiny model" \
    awk -v m="$(numbers peak_memory)" 'BEGIN { exit !(m > 1e6 && m < 2e8) }'
# 3 x forward, 2 per multiply-add, attention at half: N = 32 tokens, L = 2, C = 32, T = 16, V = 65
flops=$((3 * 2 * 32 * (2 * (12 * 32 * 32 + 32 * 17) + 32 * 65)))
check "FLOP of a step ($flops)" grep -q "\"kind\":\"workload\".*\"flops\":$flops," bench.jsonl
check "the trainer's default recomputation" \
    grep -q '"kind":"workload".*"recompute":"gelu"' bench.jsonl
check "warnings are one line each" test "$(grep -cv '^handgrad: tiny:2x16: ' err.txt)" -eq 0

OPENBLAS_CORETYPE=Haswell "$HANDGRAD" bench tiny:1x8 --runs 1 >text.txt 2>err.txt
check "text output, another batch" grep -q "^tiny:1x8 in f32" text.txt
check "the table of operations" grep -q "^  all of these" text.txt
check "the table has headings once" test "$(grep -c '^  operation, alone' text.txt)" -eq 1
check "the library that runs products" grep -qE "products run on [A-Za-z]+" text.txt
check "OPENBLAS_* as set" grep -q "OPENBLAS_CORETYPE=Haswell" text.txt

# (The address sanitizer, by default, aborts where malloc would have failed.)
ASAN_OPTIONS=${ASAN_OPTIONS:-}:allocator_may_return_null=1 \
    "$HANDGRAD" bench tiny:1000000x1000000 tiny:1x8 --runs 1 --json >bench.jsonl 2>err.txt
check "more than fits into memory: exit 1" test $? -eq 1
check "more than fits into memory: one line" \
    grep -qE '^handgrad: tiny:1000000x1000000: not enough memory' err.txt
check "the next workload is measured nevertheless" test "$(lines workload)" -eq 1

"$HANDGRAD" bench tiny:1x8 --runs 1 --json 2>err.txt >/dev/full
check "a full disk: exit 1" test $? -eq 1

# In a control group, as in a container, if one can be made here (of version 1).
group=/sys/fs/cgroup/memory$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup)/handgrad-$$
if mkdir "$group" 2>/dev/null; then
    trap 'rm -rf "$work"; rmdir "$group"' EXIT
    echo 1G >"$group/memory.limit_in_bytes"
    (
        echo $BASHPID >"$group/cgroup.procs"
        exec "$HANDGRAD" bench tiny:4096x1024 tiny:1x8 --runs 1 --json >bench.jsonl 2>err.txt
    )
    check "more than a control group allows: exit 1" test $? -eq 1
    check "more than a control group allows: one line" \
        grep -qE '^handgrad: tiny:4096x1024: not enough memory' err.txt
    check "a workload that fits is measured" test "$(lines machine) $(lines workload)" = "1 1"
fi

misused "an unknown workload" "unknown workload 'nosuch': expected decode, memory or a model" nosuch
misused "half a name" "unknown workload 'char'" char
misused "a batch without a length" "'tiny:4': expected tiny:BxT" tiny:4
misused "an empty batch" "'tiny:0x4': expected tiny:BxT" tiny:0x4
misused "more after the batch" "'tiny:1x4x2'" tiny:1x4x2
misused "an unknown precision" "--precision: 'f16': expected f32 or bf16" --precision f16
misused "an unknown recomputation" "--recompute: 'all': expected none, gelu or block" tiny --recompute all
misused "no texts" "'decode:0': expected decode:N" decode:0
misused "texts that are not a number" "'decode:4x': expected decode:N" decode:4x
misused "no runs" "--runs: '0'" tiny --runs 0
