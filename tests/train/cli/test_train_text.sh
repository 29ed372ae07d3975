#!/usr/bin/env bash
# One command from a text to a model. Prints "ok - …" or "not ok - …" for each check.
set -u
cd "$(dirname "$0")/../../.." || exit 1
. tests/checks.bash
hg() { "$HANDGRAD" "$@"; }
head -n 400 "$here/docs/derivations.md" >novel.txt
short="--set train.steps=12 --set train.sample_tokens=20 --set train.eval_tokens=2000"
hg train novel.txt $short >printed
check "from a text to a model" grep -qE '^chosen: 12 steps, which read the text [0-9.]+ times, in about [0-9.e-]+ min on this machine; novel-run/config.ini has all settings$' printed
check "the run is complete" test -e novel-run/best.h5 -a -e novel-run/report.html -a -e novel-run/data/tokenizer.h5
check "it generates text" bash -c 'test $("$0" sample novel-run -n 50 | wc -c) -gt 50' "$HANDGRAD"
check "the settings count" grep -qx 'steps = 12' novel-run/config.ini
check "it resumes" hg train --out novel-run --resume --set train.steps=15 --allow steps
refused "a second run in its place" '^handgrad: novel-run: already holds a run; `handgrad train --out novel-run --resume` continues it' hg train novel.txt $short
check "… which leaves the first alone" hg train --out novel-run --resume --set train.steps=18 --allow steps
check "several texts, another place" hg train novel.txt "$here/README.md" --out other/run $short
check "… of which all are read" bash -c 'test $("$0" inspect other/run/data/train-00000.h5 --json | grep -o "\"path\"" | wc -l) -eq 2' "$HANDGRAD"
check "a time" bash -c '"$0" train novel.txt --out timed --minutes 0.01 --set train.batch_size=1 --stop-at 3 | grep -q "^chosen: [0-9]* steps, which read the text .* about 0.0"' "$HANDGRAD"
printf 'Hi' >short.txt
refused "too short a text" '^handgrad: short.txt: [0-9] tokens? (is|are) too few' hg train short.txt
check "… leaves nothing" test ! -e short-run
refused "a wrong setting, before the text is read" "model.n_heads" hg train novel.txt --out x --set model.n_heads=3
check "… leaves nothing either" test ! -e x
printf '\n# a comment\n[model]\nn_layer = 1\n' >settings
refused "a configuration of any name" "^handgrad: data.dir is not set" hg train settings --out y
printf '# Title\n\n[a link](x.html) and so on\n' >page.md && cat "$here/README.md" >>page.md
check "a text that begins like one" bash -c '"$0" train page.md --out page $1 | grep -q "^page.md: "' "$HANDGRAD" "$short"
check "a text and --resume" bash -c '! "$0" train novel.txt --out novel-run --resume 2>err; grep -q "is a text: --resume and --init take a configuration" err' "$HANDGRAD"
check "--minutes and a configuration" bash -c '! "$0" train settings --out z --minutes 3 2>err; grep -q -- "--minutes: only valid with TEXT" err' "$HANDGRAD"
hg tokenize novel.txt -o tokens >printed 2>&1
check "tokenize without --tokenizer learns byte pairs" grep -q 'tokens of a vocabulary of 512 (bpe)$' printed
yes ab | head -c 2000 >dull.txt
check "… as many as there are" bash -c '"$0" tokenize dull.txt -o dull | grep -q "vocabulary of 2[0-9]* (bpe)$"' "$HANDGRAD"
