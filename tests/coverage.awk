# coverage.awk: sums gcovr's CSV of files (name, lines, lines run, …, branches, branches taken, …)
# by directory.
BEGIN { FS = "," }
NR > 1 && sub(/\/[^\/]*$/, "", $1) {
    lines[$1] += $2; run[$1] += $3; branches[$1] += $5; taken[$1] += $6
}
function percent(n, of) { return of ? 100 * n / of : 100 }
END {
    for (d in lines)
        printf "%-18s lines %5.1f %%   branches %5.1f %%\n", d, percent(run[d], lines[d]),
               percent(taken[d], branches[d])
}
