# checks.bash: for test scripts that run commands; to be sourced in the root of the repository, $here
# from then on. Enters a new directory, $work, which is removed at the end. The output of the last
# command is in out.txt.
: "${HANDGRAD:=$PWD/handgrad}"
here=$PWD
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

check() { # check NAME COMMAND…: the command must succeed
    local name=$1
    shift
    if "$@" >out.txt 2>&1; then echo "ok - $name"; else
        echo "not ok - $name"
        sed 's/^/#   /' out.txt | head -n 20
    fi
}
skip() { # skip NAME REASON: counts as skipped
    echo "ok - $1 # skip $2"
}
has_terminal() { # whether this machine has pseudo-terminals
    script -qec true /dev/null </dev/null >/dev/null 2>&1
}
# refused NAME PATTERN COMMAND…: the command must exit with 1 and print one line to stderr, which
# starts with "handgrad: " and matches the pattern
refused() {
    local name=$1 pattern=$2
    shift 2
    "$@" >out.txt 2>err.txt
    local code=$?
    if [ $code -eq 1 ] && [ "$(wc -l <err.txt)" -eq 1 ] && grep -qE "^handgrad: " err.txt &&
        grep -qE -- "$pattern" err.txt; then
        echo "ok - refused: $name"
    else
        echo "not ok - refused: $name (exit $code)"
        sed 's/^/#   /' err.txt out.txt
    fi
}
