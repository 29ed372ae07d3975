# checks.bash: what the scripts that drive the commands share; to be sourced. Both leave what was printed in out.txt.

check() { # check NAME COMMAND…: ok where the command succeeds
    local name=$1
    shift
    if "$@" >out.txt 2>&1; then echo "ok - $name"; else
        echo "not ok - $name"
        sed 's/^/#   /' out.txt | head -n 20
    fi
}
# refused NAME PATTERN COMMAND…: exit 1 and exactly one line on stderr, that begins with "handgrad: " and matches
refused() {
    local name=$1 pattern=$2
    shift 2
    "$@" >out.txt 2>err.txt
    local code=$?
    if [ $code -eq 1 ] && [ "$(wc -l <err.txt)" -eq 1 ] && grep -qE "^handgrad: " err.txt && grep -qE -- "$pattern" err.txt; then
        echo "ok - refused: $name"
    else
        echo "not ok - refused: $name (exit $code)"
        sed 's/^/#   /' err.txt out.txt
    fi
}
