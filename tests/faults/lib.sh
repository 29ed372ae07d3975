# lib.sh: what the fault tests share. Sourced; needs HANDGRAD, TOOLS (the folder of shim.so and damage) and LONG (0 or 1).
set -u
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive LC_ALL=C
work=$(mktemp -d "${TMPDIR:-/tmp}/handgrad-faults-XXXXXX")
trap 'cd /; chmod -R u+w "$work" 2>/dev/null; rm -rf "$work"' EXIT
failed=0

ok() { # ok CONDITION-STATUS TEXT
    if [ "$1" = 0 ]; then printf 'ok - %s\n' "$2"; else printf 'not ok - %s\n' "$2"; failed=1; fi
}

# A tiny corpus, and a configuration whose run takes a tenth of a second: DIR gets data/, c.ini. With n_embd = 96 (8) a checkpoint of a run is
# large enough (1.6 MB) to go past the page cache (data/atomic.c).
make_project() { # DIR [N_EMBD]
    seq 1 400 > "$1/t.txt"
    "$HANDGRAD" tokenize "$1/t.txt" -o "$1/data" --tokenizer byte > /dev/null || exit 1
    cat > "$1/c.ini" <<INI
[model]
n_layer = 1
n_head = 1
n_embd = ${2:-8}
block_size = 8
dropout = 0.1
[data]
dir = $1/data
[train]
batch_size = 2
accumulate = 2
steps = 40
checkpoint_every = 1
keep = 2
eval_every = 10
INI
}

# Whether some checkpoint of a run folder verifies, and the run goes on from it to the weights of the reference, bit for bit.
resumes_to() { # RUN STEP REFERENCE.h5
    "$HANDGRAD" train --out "$1" --resume --stop-at "$2" > "$work/resume.log" 2>&1 &&
        "$HANDGRAD" inspect --verify "$1/ckpt-$2.h5" > /dev/null 2>&1 && cmp -s "$1/ckpt-$2.h5" "$3"
}

temporaries() { find "$1" -name ".${2:-*}.tmp" | wc -l; }

# The system calls of a save, "CALL N" a line: from the first temporary file on. N counts a call's occurrences in its thread, as
# strace's when= does.
calls_of_save() { # LOG of strace -f
    awk '{ pid = $1; sub(/^[0-9]+ +/, "") }
         match($0, /^[a-z0-9_]+\(/) { c = substr($0, 1, RLENGTH - 1); n[pid, c]++
             if (/O_EXCL/ && /\.tmp"/) begun = 1
             if (begun && c !~ /^(exit|exit_group|execve|futex)$/ && !seen[c, n[pid, c]]++) print c, n[pid, c] }' "$1"
}
