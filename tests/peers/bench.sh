#!/usr/bin/env bash
# Compares the speed of encoding with GPT-2's vocabulary with that of npm's tiktoken, and measures
# the training of a vocabulary of 8,192 tokens, both with one thread. The text is 10 MB of English
# from this machine: manual pages, fortunes and the copyright files of packages.
#   bench.sh HANDGRAD BENCH FOLDER      after `make check-peers`, in the directory with node_modules
set -euo pipefail
handgrad=$1 bench=$2 folder=$3
text=$folder/english.txt
{
    find /usr/share/man/man[1-8] -name '*.gz' -type f -print0 | sort -z | xargs -0 zcat -f 2>/dev/null
    find /usr/share/games/fortunes -type f ! -name '*.dat' -print0 2>/dev/null | sort -z | xargs -0r cat
    find /usr/share/doc -name copyright -type f -print0 | sort -z | xargs -0 cat
} 2>/dev/null | LC_ALL=C tr -cd '\11\12\15\40-\176' | head -c 10000000 >"$text" || true
echo "$(wc -c <"$text") bytes, $(tr -s ' \n\t' '\n' <"$text" | sort -u | wc -l) distinct words"
node -e '
const t = require("tiktoken").get_encoding("gpt2"), s = require("fs").readFileSync(process.argv[1], "latin1"), all = [];
let n;
for (let i = 0; i < 5; i++) { const a = process.hrtime.bigint(); n = t.encode_ordinary(s).length; all.push(Number(process.hrtime.bigint() - a) / 1e9); }
const m = all.sort((a, b) => a - b)[2];
console.log(`tiktoken, 1 thread: ${n} tokens, ${m.toFixed(3)} s, ${(s.length / m / 1e6).toFixed(1)} MB/s`);
' "$text" | tee "$folder/tiktoken.txt"
"$bench" "$folder/gpt2.tiktoken" "$text" | tee "$folder/handgrad.txt"
awk -F, 'FNR == 1 { split($(NF - 1), a, " "); s[NR == FNR] = a[1] } END { printf "encoding, one thread each: %.1f times as fast as tiktoken\n", s[1] / s[0] }' "$folder/tiktoken.txt" "$folder/handgrad.txt"
time OMP_NUM_THREADS=1 "$handgrad" tokenize "$text" -o "$folder/trained" --tokenizer bpe:8192 --force
