#!/usr/bin/env bash
# The course: runs the commands of docs/course.md in order, and compares what they print with what
# is printed there, if TINY_SHAKESPEARE names that text; otherwise the commands run on another one.
# Numbers may differ by 1 % (percentages by 1), and pictures made of characters are not compared.
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/checks.bash
[ -z "${SANITIZED:-}" ] || { skip "the course" "its commands train for minutes with sanitizers" && exit; }
mkdir bin && ln -s "$HANDGRAD" bin/handgrad && export PATH="$work/bin:$PATH"
cp -r "$here/configs" .
text=${TINY_SHAKESPEARE:-}
if [ -r "$text" ]; then cp "$text" tinyshakespeare.txt; else
    cat "$here"/docs/*.md "$here"/README.md | LC_ALL=C.UTF-8 tr -cd '\n -~' >tinyshakespeare.txt
fi
sha=86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed
is_shakespeare() { [ "$(sha256sum <tinyshakespeare.txt | cut -d' ' -f1)" = $sha ]; }

# Writes each command of a code block to N.sh, and the output that follows it to N.want.
awk '/^```/ { inside = !inside; command = 0; next }
     !inside { next }
     !command && /^(handgrad|od|cc) / || (/^(handgrad|cc) / && !more) { n++; command = 1; output = 0 }
     !command { next }
     output && !/^(handgrad|cc) / { print >n ".want"; next }
     { print >n ".sh"; if (/\\$/ || /awk .$/) more = 1; else if (!/awk/ && (!quote || /\x27$/)) more = 0
       if (/awk \x27$/) quote = 1; else if (quote && /}\x27$/) quote = 0
       output = !quote && !/\\$/ }' "$here/docs/course.md"

# compare GOT WANT: every expected line occurs in the output, with similar numbers
compare() {
    awk 'function similar(a, b,   x, y, tolerance) {
             if (a == b || (a ~ /^[#@%*+=:.-]+$/ && b ~ /^[#@%*+=:.-]+$/)) return 1
             gsub(/[(),*:]/, "", a); gsub(/[(),*:]/, "", b)
             if (a == b) return 1
             if (a !~ /^-?[0-9.]+(e[-+]?[0-9]+)?%?$/ || b !~ /^-?[0-9.]+(e[-+]?[0-9]+)?%?$/) return 0
             tolerance = a ~ /%$/ ? 1 : 0.01 * (b < 0 ? -b : b)
             x = a + 0; y = b + 0
             if (y > 0 && y < 1e-12) tolerance = 1e-12 # rounding errors
             return (x - y) * (x - y) <= tolerance * tolerance
         }
         function matches(line, want,   g, w, n, m, i) {
             n = split(line, g, " "); m = split(want, w, " ")
             if (w[m] ~ /^#+$/ && m > n) m--
             for (i = 1; i <= m; i++) if (!similar(g[i], w[i])) return 0
             return 1
         }
         NR == FNR { got[++lines] = $0; next }
         /^[ @%*+=:.#-]*$/ { next }
         { for (at = 1; at <= lines && !matches(got[at], $0); at++);
           if (at > lines) { print "not printed: " $0; bad = 1 } }
         END { exit bad }' "$1" "$2"
}
commands=$(ls *.sh | wc -l)
check "the course has commands and outputs" test "$commands" -ge 10 -a "$(ls *.want | wc -l)" -ge 6
for i in $(seq "$commands"); do
    name=$(head -n 1 "$i.sh" | cut -c 1-60)
    case $name in *--mistakes) continue ;; esac # as in test_gradcheck.sh
    # section 5: the reader deletes the last term of the derivative
    case $name in
    cc*) sed -i '/^void layernorm_backward/,$ { /^{/,$ d }' my.c && cat >>my.c <<'EOF'
{
    for (size_t n = 0; n < N; n++) {
        double mean_g = 0;
        for (size_t i = 0; i < C; i++)
            mean_g += dy[n * C + i] * gain[i] / C;
        for (size_t i = 0; i < C; i++) {
            const double g = dy[n * C + i] * gain[i];
            dx[n * C + i] += rstd[n] * (g - mean_g);
            dgain[i] += dy[n * C + i] * (x[n * C + i] - mean[n]) * rstd[n];
            if (dbias)
                dbias[i] += dy[n * C + i];
        }
    }
}
EOF
        sed -i "s#^cc #cc -I$here/include #" "$i.sh" ;;
    esac
    bash "$i.sh" >"$i.got" 2>&1
    status=$?
    case $name in *diagnose*) status=$((status - 1)) ;; esac # it finds the mistake
    check "runs: $name" test $status -eq 0
    [ -e "$i.want" ] || continue
    if is_shakespeare || [[ $name == *gradcheck* ]]; then
        check "prints what the course says: $name" compare "$i.got" "$i.want"
    fi
done
