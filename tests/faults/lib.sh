# lib.sh: functions of the fault tests; to be sourced. Needs HANDGRAD, TOOLS (the directory of
# shim.so and damage) and LONG (0 or 1).
set -u
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive LC_ALL=C
work=$(mktemp -d "${TMPDIR:-/tmp}/handgrad-faults-XXXXXX")
trap 'cd /; chmod -R u+w "$work" 2>/dev/null; rm -rf "$work"' EXIT
failed=0

ok() { # ok CONDITION-STATUS TEXT
    if [ "$1" = 0 ]; then printf 'ok - %s\n' "$2"; else printf 'not ok - %s\n' "$2"; failed=1; fi
}

# Creates a tiny corpus DIR/data and a configuration DIR/c.ini whose run takes a tenth of a second.
# With n_embd = 96 (default: 8) a checkpoint is large enough (1.6 MB) to bypass the page cache
# (base/atomic.c).
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

# Whether a run resumes from a checkpoint that verifies, and ends with the same bytes as the
# reference.
resumes_to() { # RUN STEP REFERENCE.h5
    "$HANDGRAD" train --out "$1" --resume --stop-at "$2" > "$work/resume.log" 2>&1 &&
        "$HANDGRAD" inspect --verify "$1/ckpt-$2.h5" > /dev/null 2>&1 && cmp -s "$1/ckpt-$2.h5" "$3"
}

temporaries() { find "$1" -name ".${2:-*}.tmp" | wc -l; }

# Lists the system calls of a save, from the first temporary file on, as lines "CALL N". N counts
# the occurrences of a call in its thread, like strace's when=.
calls_of_save() { # LOG of strace -f
    awk '{ pid = $1; sub(/^[0-9]+ +/, "") }
         match($0, /^[a-z0-9_]+\(/) { c = substr($0, 1, RLENGTH - 1); n[pid, c]++
             if (/O_EXCL/ && /\.tmp"/) begun = 1
             if (begun && c !~ /^(exit|exit_group|execve|futex)$/ && !seen[c, n[pid, c]]++) print c, n[pid, c] }' "$1"
}
