#!/usr/bin/env bash
# Disk errors during a save: one error line, the old file unchanged, no temporary file. Short and
# interrupted calls do no harm. Also: a full disk, a read-only directory, a directory that is
# deleted, a second run, a clock that is set back.
here=$(cd "$(dirname "$0")" && pwd); . "$here/lib.sh"
cd "$work" || exit 1
exec 2> stderr.log
make_project "$work"
"$HANDGRAD" init c.ini -o old.h5 > /dev/null || exit 1
sed 's/^steps.*/steps = 41/' c.ini > other.ini

# The command fails with one line that names the file; only the old file is left.
refuses() { # COMMAND…
    rm -rf s && mkdir s && cp old.h5 s/m.h5
    "$@" > out.log 2> err.log
    [ $? = 1 ] && [ "$(wc -l < err.log)" = 1 ] && grep -q '^handgrad: s/m.h5: ' err.log && cmp -s s/m.h5 old.h5 &&
        [ "$(temporaries s)" = 0 ]
}
strace -f -qq -o log "$HANDGRAD" init other.ini -o old2.h5 > /dev/null
calls_of_save log > calls
tried=0 bad=0
while read -r call n; do
    case $call in write | pwrite64) errors="ENOSPC EIO EDQUOT" ;; fsync | rename) errors="ENOSPC EIO" ;; openat) errors="EMFILE EACCES" ;; *) continue ;; esac
    for e in $errors; do
        # After the rename, only the sync of the directory and the output can fail: the new file
        # exists, and the error says what is uncertain.
        refuses strace -f -qq -o /dev/null -e inject="$call:error=$e:when=$n" "$HANDGRAD" init other.ini -o s/m.h5 ||
            { grep -qE 'syncing its (folder|directory)|standard output cannot be written' err.log && cmp -s s/m.h5 old2.h5; } ||
            { [ ! -s err.log ] && cmp -s s/m.h5 old2.h5; } || { bad=$((bad + 1)); echo "# $call $n $e: $(cat err.log)"; }
        tried=$((tried + 1))
    done
done < calls
ok $((bad + (tried < 5))) "$tried errors of write, fsync, rename and open in a save: $bad handled wrongly"
ok "$(FAULT=unlink-first LD_PRELOAD="$TOOLS/shim.so" refuses strace -f -qq -o /dev/null -e inject=rename:error=EIO "$HANDGRAD" init other.ini -o s/m.h5 && echo 1 || echo 0)" \
    "control: a save that removes the old file first is detected"
for fault in short eintr; do
    rm -f m.h5
    FAULT=$fault LD_PRELOAD="$TOOLS/shim.so" "$HANDGRAD" init other.ini -o m.h5 > /dev/null && cmp -s m.h5 old2.h5
    ok $? "$fault writes: the same file"
done
refuses bash -c 'trap "" XFSZ; ulimit -f 8; exec "$0" init other.ini -o s/m.h5' "$HANDGRAD"
ok $? "ulimit -f: an error, the old file is kept"
if mkdir -p disk && mount -t tmpfs -o size=256k tmpfs disk; then
    cp old.h5 disk/m.h5; head -c 300k /dev/zero > disk/full
    "$HANDGRAD" init other.ini -o disk/m.h5 > /dev/null 2> err.log
    [ $? = 1 ] && grep -q 'No space left' err.log && cmp -s disk/m.h5 old.h5 && [ "$(temporaries disk)" = 0 ]
    ok $? "full disk: an error, the old file is kept"
    rm disk/full; "$HANDGRAD" init other.ini -o disk/m.h5 > /dev/null && cmp -s disk/m.h5 old2.h5
    ok $? "space available again: saved"
    mount -o remount,ro disk
    "$HANDGRAD" init c.ini -o disk/m.h5 > /dev/null 2> err.log
    [ $? = 1 ] && grep -q 'Read-only' err.log
    ok $? "read-only directory: one error line"
    "$HANDGRAD" train c.ini --out disk/run > /dev/null 2> err.log
    [ $? = 1 ] && [ "$(grep -c ^handgrad: err.log)" = 1 ]
    ok $? "a run in a read-only directory: refused at its start"
    umount disk
else
    echo "# skipped, as no tmpfs can be mounted: full and read-only disks"
fi
"$HANDGRAD" train c.ini --out run --stop-at 2 > /dev/null
rm -rf gone; cp -r run gone
"$HANDGRAD" train --out gone --resume --set train.steps=100000 --allow steps > /dev/null 2> err.log & pid=$!
sleep 0.5; rm -rf gone; sleep 1; kill -TERM $pid; wait $pid
code=$?
[ $code -lt 128 ] && ! grep -q -i 'segmentation' err.log
ok $? "run directory deleted during training: ends with status $code, no crash ($(grep -c ^handgrad: err.log) lines)"
if command -v faketime > /dev/null; then
    cp -r run back && faketime -f -10y "$HANDGRAD" train --out back --resume --stop-at 4 > /dev/null &&
        "$HANDGRAD" train --out run --resume --stop-at 4 > /dev/null && cmp -s back/ckpt-4.h5 run/ckpt-4.h5
    ok $? "clock set back by ten years: the same bytes"
fi
"$HANDGRAD" train --out run --resume --set train.steps=100000 --allow steps > /dev/null 2>&1 & pid=$!
sleep 0.5
"$HANDGRAD" train --out run --resume --stop-at 100000 > /dev/null 2> err.log; code=$?
kill -TERM $pid; wait $pid
[ $code = 1 ] && grep -q 'only one run at a time can use a directory' err.log
ok $? "a second run in the directory: refused"
exit $failed
