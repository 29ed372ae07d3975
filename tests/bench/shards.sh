#!/usr/bin/env bash
# Measures how fast a shard of 1e9 tokens is read, in sequential and in shuffled windows, compared
# with the speed of training char-0.8M on the same machine.
#   shards.sh HANDGRAD SHARDS [TOKENS]      needs about 0.9 bytes of disk and of memory per token
set -eu
handgrad=$1 shards=$2 tokens=${3:-1000000000}
work=$(mktemp -d "${TMPDIR:-/tmp}/handgrad-shards-XXXXXX")
trap 'rm -rf "$work"' EXIT
free=$(df -k --output=avail "$work" | tail -n 1)
[ "$free" -gt $((tokens / 500)) ] || { echo "shards: not enough space in $work" >&2 && exit 1; }
"$shards" "$work" "$tokens"
printf '%s tokens in one shard of %s MB\n' "$tokens" "$(du -m "$work/train-00000.h5" | cut -f1)"
training=$({ "$handgrad" bench char-0.8M --json --runs 5 || true; } |
    sed -nE '/"kind":"workload"/{s/.*"median_s":([^,]+),.*/\1/p;q}')
awk -v s="$training" 'BEGIN { printf "char-0.8M trains on %.0f tokens/s\n", 768 / s }'
printf '%-11s %8s %8s %14s %14s %8s\n' windows rows T tokens/s 'x training' 'open, s'
for shape in '12 64' '16 256' '8 1024'; do
    # shellcheck disable=SC2086
    "$shards" "$work" $shape
done | awk -v s="$training" '{ printf "%-11s %8d %8d %14.0f %14.1f %8.2f\n", $1, $2, $3, $4, $4 * s / 768, $5 }'
