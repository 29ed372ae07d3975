# generate.awk: generates code from the textbook versions of the operations (model/plain/NAME.c) and
# from the planted mistakes (model/check/mistakes/NAME.txt).
#
#   -v mode=plain     plain/NAME.c                      the textbook version under names of its own
#   -v mode=mistaken  mistakes/NAME.txt plain/NAME.c    the same, with switches for the mistakes
#   -v mode=list      mistakes/*.txt                    the table of mistakes
#   -v mode=template  plain/*.c                         what `handgrad gradcheck --template` prints
#   -v mode=header    handgrad_op.h.in NAME.h...        include/handgrad_op.h
#
# A mistake is an edit of the textbook version:
#
#   identifier: its name
#     why people make it, or what it does
#     only: GELU_TANH                                 for operations that share functions
#     backward: before <<old => new>> after           replaces an expression, wherever this text occurs
#     forward: old; ==> new;                          replaces a statement that fills a line
#     both: begin ==> statement;                      adds a statement at the beginning of the function
#
# forward, backward and both say in which pass the edit is active.

function die(message) { print FILENAME ": " message > "/dev/stderr"; failed = 1; exit 1 }
function trim(s) { sub(/^[ \t]+/, "", s); sub(/[ \t]+$/, "", s); return s }
function quote(s) { gsub(/\\/, "\\\\", s); gsub(/"/, "\\\"", s); return "\"" s "\"" }
function stem_of(file) { sub(/.*\//, "", file); sub(/\..*/, "", file); return file }

# --- reading mistakes ---

function read_mistake(line,   i, tag) {
    if (line ~ /^ops: /) {
        op_expression = substr(line, 6)
    } else if (line ~ /^[a-z_0-9]+: /) {
        i = index(line, ": ")
        id[++count] = substr(line, 1, i - 1)
        name[count] = substr(line, i + 2)
        file_of[count] = stem_of(FILENAME)
        only[count] = toupper(file_of[count])
        bit[count] = bits[FILENAME]++ + 0
    } else if (line ~ /^  only: /) {
        only[count] = substr(line, 9)
    } else if (line ~ /^  (forward|backward|both): /) {
        tag = trim(line)
        sub(/: .*/, "", tag)
        add_edit(toupper(tag) "(" bit[count] ")", substr(line, index(line, ": ") + 2))
    } else if (line ~ /^  /) {
        why[count] = trim(line)
    } else if (line != "") {
        die("cannot read \"" line "\"")
    }
}

function add_edit(condition, text,   i, j, k) {
    when[++edits] = condition
    owner[edits] = count
    i = index(text, " ==> ")
    if (i) {
        old[edits] = substr(text, 1, i - 1)
        new[edits] = substr(text, i + 5)
        kind[edits] = old[edits] == "begin" ? "begin" : "statement"
        return
    }
    i = index(text, "<<"); j = index(text, " => "); k = index(text, ">>")
    if (!i || !j || !k)
        die("no edit in \"" text "\"")
    kind[edits] = "expression"
    before[edits] = substr(text, 1, i - 1)
    old[edits] = substr(text, i + 2, j - i - 2)
    new[edits] = substr(text, j + 4, k - j - 4)
    pattern[edits] = before[edits] old[edits] substr(text, k + 2)
}

# --- applying them ---

# The line, with every expression that is edited behind a switch, except edits of the mistake `not`.
function edit_expressions(line, not,   e, p, i, at, starts, length_of, choice, best, s) {
    starts = 0
    split("", length_of); split("", choice)
    for (e = 1; e <= edits; e++) {
        if (kind[e] != "expression" || owner[e] == not)
            continue
        for (p = 1; (i = index(substr(line, p), pattern[e])) > 0; p += i) {
            at = p + i - 1 + length(before[e])
            if (at in length_of && length_of[at] != length(old[e]))
                die("edits overlap in \"" line "\"")
            length_of[at] = length(old[e])
            choice[at] = choice[at] when[e] " ? (" new[e] ") : "
            used[e] = 1
        }
    }
    for (;;) { # from the last to the first, so that positions stay valid
        best = 0
        for (s in length_of)
            if (s + 0 > best)
                best = s + 0
        if (!best)
            return line
        line = substr(line, 1, best - 1) "(" choice[best] "(" \
               substr(line, best, length_of[best]) "))" substr(line, best + length_of[best])
        delete length_of[best]
    }
}

function edit_line(line,   e, result, statement) {
    statement = trim(line)
    for (e = 1; e <= edits; e++)
        if (kind[e] == "statement" && old[e] == statement) {
            result = result "if (" when[e] ") { " edit_expressions(new[e], owner[e]) " } else "
            used[e] = 1
        }
    return result == "" ? edit_expressions(line, 0) : result "{ " edit_expressions(line, 0) " }"
}

# Renames calls and definitions: layernorm_forward becomes PREFIX_layernorm_forward.
function rename(line,   out, f) {
    out = ""
    while (match(line, /[a-z_0-9]+_(forward|backward)\(/)) {
        f = substr(line, RSTART, RLENGTH - 1)
        functions[f] = 1
        out = out substr(line, 1, RSTART - 1) mode "_" f "("
        line = substr(line, RSTART + RLENGTH)
    }
    return out line
}

function emit_source(   i, f, e, direction, last_include) {
    for (i = 1; i <= lines; i++) {
        if (code[i] ~ /^#include/)
            last_include = i
        text[i] = rename(mode == "mistaken" ? edit_line(code[i]) : code[i])
    }
    for (e = 1; e <= edits; e++)
        if (kind[e] != "begin" && !used[e])
            die("nothing to edit: " old[e])
    print "/* Generated from " source " by model/check/generate.awk. */"
    for (i = 1; i <= last_include; i++)
        if (code[i] ~ /^#include/)
            print code[i]
    print "#include \"model/real.h\"\n#include \"model/check/mistakes.h\"\n#include <string.h>"
    for (f in functions)
        print "#define " mode "_" f " NAME(" mode "_" f ")\nextern typeof(" f ") " mode "_" f ";"
    if (mode == "mistaken")
        print "static _Thread_local struct mistakes_made made;\n" \
              "#define FORWARD(bit) (!made.backward && made.bits >> bit & 1)\n" \
              "#define BACKWARD(bit) (made.backward && made.bits >> bit & 1)\n" \
              "#define BOTH(bit) (made.bits >> bit & 1)"
    print "#line " last_include + 1 " \"" source "\""
    for (i = last_include + 1; i <= lines; i++) {
        print text[i]
        if (match(code[i], /^void [a-z_0-9]+_(forward|backward)\(/))
            direction = code[i] ~ /_backward\(/
        if (mode == "mistaken" && code[i] == "{" && direction != "") {
            printf "made = mistakes_enter(%s, %d);", op_expression ? op_expression : "OP_" toupper(stem_of(source)), direction
            for (e = 1; e <= edits; e++)
                if (kind[e] == "begin")
                    printf "%s", begin_of(e, direction)
            print "\n#line " i + 1 " \"" source "\""
            direction = ""
        }
    }
}

function begin_of(e, direction) {
    if (when[e] ~ /^(FORWARD|BACKWARD)/ && (when[e] ~ /^BACKWARD/) != direction)
        return ""
    return " if (" when[e] ") { " new[e] " }"
}

# --- the table ---

function emit_list(   i, n, k, ops) {
    print "/* Generated from model/check/mistakes by model/check/generate.awk. */"
    print "#include \"model/check/mistakes.h\"\n\nconst struct mistake mistakes[] = {"
    for (i = 1; i <= count; i++) {
        n = split(only[i], ops, " ")
        for (k = 1; k <= n; k++)
            printf "    {OP_%s, %d, %s, %s, %s},\n", ops[k], bit[i], quote(id[i]), quote(name[i]), quote(why[i])
    }
    print "};\n\nconst size_t mistakes_count = sizeof mistakes / sizeof *mistakes;"
}

# --- templates and the installed header ---

# Replaces whole words by those of the map.
function replace_words(line, map,   out, word) {
    out = ""
    while (match(line, /[A-Za-z_][A-Za-z_0-9]*/)) {
        word = substr(line, RSTART, RLENGTH)
        out = out substr(line, 1, RSTART - 1) (word in map ? map[word] : word)
        line = substr(line, RSTART + RLENGTH)
    }
    return out line
}

# The installed header prefixes its names, and its number type is double.
function public_names(line) {
    gsub(/struct dropout/, "struct handgrad_dropout", line)
    gsub(/struct block_/, "struct handgrad_block_", line)
    gsub(/struct model_config/, "struct handgrad_model_config", line)
    gsub(/enum gelu_kind/, "enum handgrad_gelu_kind", line)
    return replace_words(line, public)
}

function read_words(   i, n, list) {
    n = split("GELU_TANH GELU_ERF NO_TARGET DROP_EMBEDDING DROP_ATTENTION DROP_ATTENTION_OUTPUT DROP_MLP_OUTPUT", list, " ")
    for (i = 1; i <= n; i++)
        public[list[i]] = "HANDGRAD_" list[i]
    public["dropout_mask"] = "handgrad_dropout_mask"
    public["real"] = public["acc"] = "double"
    plain_c["real_sqrt"] = "sqrt"; plain_c["real_exp"] = "exp"
    plain_c["real_log"] = "log"
}

# A line of the table of a block's parts: the kind of a parameter, or an activation.
function read_part(line,   fields) {
    if (line !~ /^(PARAMETER|BIAS|ACTIVATION|PROVIDED|RESULT)\(/)
        return
    split(line, fields, /[(,)] */)
    if (line ~ /^(PARAMETER|BIAS)/) {
        kinds = kinds (kinds == "" ? "" : ",\n") "    HANDGRAD_" fields[2]
        public[fields[2]] = "HANDGRAD_" fields[2]
    } else {
        gsub(/"/, "", fields[3])
        gsub(/ /, ",", fields[3])
        activations = activations sprintf("    double *%s; /* (%s) */\n", fields[2], fields[3])
    }
}

function emit_template(   forward, backward, i, line, part) {
    part = "head"
    for (i = 1; i <= lines; i++) {
        if (code[i] ~ /^#include|^\/\* --- backward/) {
            part = code[i] ~ /^#/ ? "forward" : "helpers"
            continue
        }
        if (part == "helpers" && code[i] ~ /^void /)
            part = "backward"
        line = code[i]
        gsub(/real_normal_cdf\(x, real_exp\(-x \* x \/ 2\)\)/, "erfc(-x * M_SQRT1_2) / 2", line)
        while (match(line, /real_part\([^()]*\)/))
            line = substr(line, 1, RSTART - 1) substr(line, RSTART + 10, RLENGTH - 11) \
                   substr(line, RSTART + RLENGTH)
        line = public_names(replace_words(line, plain_c))
        if (part == "forward" && (forward != "" || line != ""))
            forward = forward "\n        " quote(line "\n")
        if (part == "backward" && code[i] !~ /^[ {}]/ || (part == "backward" && !body))
            if (code[i] == "{")
                body = 1
            else
                backward = backward "\n        " quote(line "\n")
    }
    gsub(/\n"/, "\\n\"", forward); gsub(/\n"/, "\\n\"", backward)
    if (!templates++)
        print "/* Generated from model/plain by model/check/generate.awk. */\n" \
              "#include \"train/grade/op_template.h\"\n\nconst struct op_template op_templates[] = {"
    printf "    {%s,%s,%s},\n", quote(stem_of(source)), forward, backward
}

# Keeps the prototypes of the forward and backward of a header, each with the comment above it.
function read_header(line) {
    if (line ~ /^\/\*/)
        comment = ""
    if (line ~ /^(\/\*| \*)/ || (in_comment && line !~ /^$/))
        comment = comment line "\n"
    in_comment = line ~ /^\/\*/ || in_comment
    if (line ~ /\*\//)
        in_comment = 0
    if (index(line, "void " stem_of(FILENAME) "_forward(") == 1 || index(line, "void " stem_of(FILENAME) "_backward(") == 1) {
        prototypes = prototypes comment
        in_prototype = 1
    }
    if (in_prototype)
        prototypes = prototypes line "\n"
    if (in_prototype && line ~ /;$/) {
        prototypes = prototypes "\n"
        in_prototype = 0
    }
    if (line == "")
        comment = ""
}

function emit_header(   i) {
    for (i = 1; i <= lines; i++)
        if (code[i] == "@TENSOR_KINDS@")
            print kinds
        else if (code[i] == "@ACTIVATIONS@")
            printf "%s", activations
        else if (code[i] == "@PROTOTYPES@")
            printf "%s", public_names(prototypes)
        else
            print code[i]
}

BEGIN { read_words() }
FILENAME ~ /\.txt$/ { read_mistake($0); next }
FILENAME ~ /\.def$/ { read_part($0); next }
mode == "header" && FILENAME ~ /\.h$/ { read_header($0); next }
mode == "template" && FNR == 1 && lines { emit_template(); lines = 0; body = 0 }
{ source = FILENAME; code[++lines] = $0 }
END {
    if (failed)
        exit 1
    if (mode == "list")
        emit_list()
    else if (mode == "template") {
        emit_template()
        print "};"
    } else if (mode == "header")
        emit_header()
    else
        emit_source()
}
