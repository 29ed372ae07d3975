#!/usr/bin/env bash
# The report, the live page and the plot of a run, including hostile input: recording data for them
# does not change the weights; the server answers only the paths in its table, follows a running
# training, and stops on SIGINT.
set -u
cd "$(dirname "$0")/../../.." || exit 1
. tests/checks.bash
server=
trap '[ -n "$server" ] && kill $server 2>/dev/null; rm -rf "$work"' EXIT

awk 'BEGIN { srand(7); for (i = 0; i < 400; i++) printf "line %d: <b>&amp; the %s of %c is née %d\n", i, (i % 3 ? "weight" : "bias"), 97 + i % 26, int(rand() * 1000) }' >text.txt
cat >small.ini <<'END'
[model]
n_layer = 2
n_head = 2
n_embd = 16
block_size = 16
dropout = 0.1
[data]
dir = data
[optim]
lr = 3e-3
warmup = 4
clip = 0.5
[train]
batch_size = 4
steps = 24
eval_every = 8
checkpoint_every = 8
log_tensors = 4
sample_tokens = 40
END
"$HANDGRAD" tokenize text.txt -o data --tokenizer char >/dev/null || echo "not ok - tokenize"
metrics() { sed -E 's/, "(tokens_per_s|mfu|stall_s)": [^,}]+//g' "$1/metrics.jsonl"; }
same() { diff <(metrics "$1") <(metrics "$2"); }
steps() { grep -oE '"step": ?[0-9]+' "$1" | grep -oE '[0-9]+' | tr '\n' ' '; }

# --- what a run records ---
check "train" "$HANDGRAD" train small.ini --out run
check "… without recording" "$HANDGRAD" train small.ini --out bare --set train.log_tensors=0 --set train.sample_tokens=0
check "recording does not change the metrics" same run bare
check "norms of tensors at the first step, every 4, and the last" test "$(steps run/tensors.jsonl)" = "1 4 8 12 16 20 24 "
check "a sample at each evaluation" test "$(steps run/samples.jsonl)" = "8 16 24 "
check "the norms of the gradients add up to grad_norm" awk '
    FNR == NR { match($0, /"step": [0-9]+/); s = substr($0, RSTART + 8, RLENGTH - 8); match($0, /"grad_norm": [^,]+/); norm[s] = substr($0, RSTART + 13, RLENGTH - 13); next }
    { match($0, /"step":[0-9]+/); s = substr($0, RSTART + 7, RLENGTH - 7); sum = 0; rest = $0
      while (match(rest, /"grad":[^,}]+/)) { x = substr(rest, RSTART + 7, RLENGTH - 7); sum += x * x; rest = substr(rest, RSTART + RLENGTH) }
      d = sqrt(sum) / norm[s] - 1; if (d < 0) d = -d; if (!(d < 1e-5)) exit 1; n++ }
    END { exit n != 7 }' run/metrics.jsonl run/tensors.jsonl
"$HANDGRAD" train small.ini --out half --stop-at 12 >/dev/null
"$HANDGRAD" train --out half --resume >/dev/null
check "resumed: the same norms" cmp run/tensors.jsonl half/tensors.jsonl
check "… and samples" cmp run/samples.jsonl half/samples.jsonl
check "… and two starts" test "$(steps half/starts.jsonl)" = "0 12 "
check "train.tensorboard writes event files" "$HANDGRAD" train small.ini --out board --set train.tensorboard=yes --stop-at 9
check "… which exist" ls board/events.out.tfevents.*
check "… and do not change the metrics" diff <(metrics board) <(metrics run | head -n 9)

# --- the report ---
check "train wrote a report" grep -q '</html>' run/report.html
check "report" "$HANDGRAD" report run -o one.html
check "… of several runs" "$HANDGRAD" report run bare half -o several.html
check "the report refers to no other file or site" test "$(grep -cE "(src|href)=[\"']?(https?:)?//|@import|url\\(" one.html)" -eq 0
"$HANDGRAD" report run --csv >run.csv
check "--csv has every step" test "$(wc -l <run.csv)" -eq 25
check "… with its columns" test "$(head -n 1 run.csv)" = "step,tokens,loss,val_loss,lr,grad_norm,tokens_per_s,mfu"
check "… and its numbers" diff <(cut -d, -f3 run.csv | tail -n +2) <(sed -nE 's/.*"loss": ([^,]+),.*/\1/p' run/metrics.jsonl)
"$HANDGRAD" report run half --csv -o both.csv
check "--csv of two runs names them" test "$(cut -d, -f1 both.csv | sort | uniq -c | awk '{ print $1 $2 }' | tr '\n' ' ')" = '24"half" 24"run" 1run '
hostile="</script><script>alert(1)</script>"
mkdir -p "odd '\"<&>" && cp -r run/. "odd '\"<&>/"
printf '{"step": 30, "text": "%s"}\n{"step": 31, "text": "\xff\xfe"}\nnonsense\n' "$hostile" >>"odd '\"<&>/samples.jsonl"
check "a report of hostile names and texts" "$HANDGRAD" report "odd '\"<&>" -o odd.html
check "… in which no text ends an element" test "$(grep -c '<script' odd.html)" -eq "$(grep -c '<script' one.html)"
refused "a missing folder" "nowhere: No such file" "$HANDGRAD" report nowhere
refused "a folder without a run" "data: holds no run" "$HANDGRAD" report data
refused "a file" "text.txt: expected a run folder" "$HANDGRAD" report text.txt
refused "an output that is not writable" "/proc/x.html" "$HANDGRAD" report run -o /proc/x.html

# --- the plot ---
"$HANDGRAD" inspect --plot run >plot.txt
check "a plot" grep -q '●' plot.txt
check "… without colours if the output is not a terminal" test "$(grep -c $'\033' plot.txt)" -eq 0
for width in 30 80 132; do
    COLUMNS=$width "$HANDGRAD" inspect --plot run >plot.txt
    check "… no wider than $width columns" test "$(LC_ALL=C.UTF-8 wc -L <plot.txt)" -le $width
done
refused "a plot of a folder without a run" "data: holds no run" "$HANDGRAD" inspect --plot data
mkdir empty && cp run/config.ini empty
check "a plot without losses prints a message" grep -q "no step" <("$HANDGRAD" inspect --plot empty)

# --- the live page ---
command -v curl >/dev/null || { echo "ok - curl is not installed: the server is not tested # skip"; exit 0; }
"$HANDGRAD" serve run --port 0 >serve.txt 2>serve.err &
server=$!
for i in $(seq 100); do grep -q http serve.txt && break; sleep 0.05; done
url=$(sed 's/ .*//' serve.txt)
code() { curl -s -o body.txt -w '%{http_code}' --max-time 20 "$@"; }
answers() { check "$2: $1" test "$(code "${@:3}")" = "$1"; }
check "the server listens on 127.0.0.1" grep -qE '^http://127\.0\.0\.1:[0-9]+/' serve.txt
answers 200 "the page" "$url"
check "… is live" grep -q '"live":true' body.txt
answers 200 "data" "${url}data"
answers 200 "HEAD" -I "$url"
answers 404 "a file of the run" "${url}metrics.jsonl"
answers 404 "a path upwards" --path-as-is "${url}../../etc/passwd"
answers 404 "… encoded" --path-as-is "${url}%2e%2e/%2e%2e/etc/passwd"
answers 400 "a missing run" "${url}data?run=1"
answers 400 "a run that is not a number" "${url}data?run=-1"
answers 400 "malformed seen" "${url}data?seen=1.2.3.4"
answers 400 "… too many numbers" "${url}data?seen=1.2.3.4.5.6"
answers 400 "… too large" "${url}data?seen=99999999999999999999999999999999999999.1.1.1.1"
answers 200 "… of another epoch" "${url}data?seen=1.1.1.99999.1"
answers 405 "POST" -d x=1 "$url"
answers 405 "DELETE" -X DELETE "${url}data"
answers 403 "another Host (DNS rebinding)" -H "Host: evil.example" "$url"
answers 403 "… that begins with the address" -H "Host: 127.0.0.1.evil.example" "$url"
answers 403 "… an address other than loopback" -H "Host: 10.0.0.1" "$url"
answers 200 "localhost" -H "Host: localhost:1" "$url"
answers 403 "a page of another site" -H "Sec-Fetch-Site: cross-site" "${url}data"
# the lens
lens="${url}lens?checkpoint=best.h5"
answers 200 "checkpoints" "${url}lens/checkpoints"
answers 200 "the lens" "$lens&text=the"
answers 200 "attention" "${url}lens/attention?checkpoint=best.h5&text=the&layer=1"
check "… has heads x tokens x tokens numbers" test "$(wc -c <body.txt)" -eq $((2 * 3 * 3 * 4))
answers 200 "a gradient" "${url}lens/gradient?checkpoint=best.h5&text=the&position=1"
answers 200 "generated text" "${url}lens/generate?checkpoint=best.h5&tokens=5&temperature=0"
check "… with the requested number of tokens" test "$(wc -m <body.txt)" -eq 5
answers 400 "no text" "$lens"
answers 400 "an empty text" "$lens&text="
answers 400 "an unknown character" "$lens&text=%E2%82%AC"
answers 200 "a text too long" "$lens&text=$(head -c 100 /dev/zero | tr '\0' e)"
check "… of which the end is read" grep -qE '"block_size":([0-9]+),"omitted":[1-9]' body.txt
answers 400 "no checkpoint" "${url}lens?text=the"
answers 400 "a path instead of a checkpoint" "${url}lens?text=the&checkpoint=../run/best.h5"
answers 400 "… encoded" "${url}lens?text=the&checkpoint=..%2frun%2fbest.h5"
answers 404 "a missing checkpoint" "${url}lens?text=the&checkpoint=ckpt-999.h5"
ln -s ../half/best.h5 run/ckpt-7.h5
answers 400 "a link out of the run folder" "${url}lens?text=the&checkpoint=ckpt-7.h5"
rm run/ckpt-7.h5
answers 400 "a missing layer" "${url}lens/attention?checkpoint=best.h5&text=the&layer=2"
answers 400 "a position without a next token" "${url}lens/gradient?checkpoint=best.h5&text=the&position=2"
answers 400 "an invalid temperature" "${url}lens/generate?checkpoint=best.h5&temperature=nan"
answers 400 "too many tokens" "${url}lens/generate?checkpoint=best.h5&tokens=1000000000"
answers 403 "the lens for a page of another site" -H "Sec-Fetch-Site: cross-site" "$lens&text=the"
host=${url#http://} host=${host%/}
raw() { { printf "$1"; sleep 0.3; } | timeout 5 bash -c "exec 3<>/dev/tcp/${host%:*}/${host#*:}; cat >&3 & cat <&3" | head -n 1; }
check "input that is not HTTP does not end the server" test "$(raw '\x00\x01garbage\r\n\r\n' | grep -c ' 200 ')" -eq 0
check "… nor does an endless header" test "$(raw "GET / HTTP/1.1\r\nX: $(head -c 60000 /dev/zero | tr '\0' a)" | grep -c ' 200 ')" -eq 0
policy=$(curl -sI "$url" | grep -i '^content-security-policy' | tr -d '\r')
check "the policy allows only the page's scripts" grep -q "default-src 'none'; script-src 'sha256-" <<<"$policy"
check "… and no inline ones" test "$(grep -cE "script-src[^;]*unsafe" <<<"$policy")" -eq 0

data() { curl -s "${url}data$1"; }
last() { data "" | grep -oE '"last":\{"step":[0-9]+' | grep -oE '[0-9]+$'; }
check "data contain the last step" test "$(last)" = 24
printf '{"step": 25, "tokens": 1600, "loss": 1.25' >>run/metrics.jsonl
check "an incomplete line is not read" test "$(last)" = 24
printf ', "lr": 0.1}\n' >>run/metrics.jsonl
check "… until it is complete" test "$(last)" = 25
epoch=$(data "" | grep -oE '"epoch":[0-9]+' | grep -oE '[0-9]+$')
check "only new rows are sent" test "$(data "?seen=$epoch.25.0.0.0" | grep -oE '"steps":\{"from":[0-9]+,"width":1,"x":[^]]*')" = '"steps":{"from":24,"width":1,"x":[25'
head -n 10 run/metrics.jsonl >cut && cat cut >run/metrics.jsonl
check "a truncated run is read anew" test "$(last)" = 10
for i in $(seq 40); do curl -s -o /dev/null "$url" & done
wait $(jobs -p | grep -v "^$server$")
check "forty simultaneous viewers" test "$(code "${url}data")" = 200
refused "a port in use" "127.0.0.1 port ${host#*:}: Address already in use" "$HANDGRAD" serve run --port "${host#*:}"
refused "an invalid interface" "bind.*expected an address" "$HANDGRAD" serve run --bind example.org --port 0
refused "a missing run" "nowhere" "$HANDGRAD" serve nowhere --port 0
kill -INT $server
wait $server
check "SIGINT ends the server with exit code 0" test $? -eq 0
server=
check "the server printed no errors" test ! -s serve.err
for c in report serve; do check "$c --help" "$HANDGRAD" $c --help; done
cd / || exit 1
