# man.awk: writes the manual page and the completions for bash and zsh from the output of --help:
#
#   HANDGRAD=./handgrad awk -f docs/man/man.awk -v form=man|bash|zsh
#
# Commands come from `handgrad --help`, options from `handgrad COMMAND --help`, and configuration keys
# from `handgrad train --keys`. docs/man/tail.mdoc adds what --help does not contain: configuration,
# environment, files, exit status and examples.

function run(command,   line, text) {
    text = ""
    while ((command | getline line) > 0)
        text = text line "\n"
    close(command)
    return text
}

# Parses "  -o, --output=FILE   Help text": short name "o", name "output", argument "FILE".
function read_option(c, line,   n, at) {
    n = ++options[c]
    short_[c, n] = match(line, /^ +-[^-], /) ? substr(line, RLENGTH - 2, 1) : ""
    match(line, /--[a-z][a-z0-9-]*/)
    name[c, n] = substr(line, RSTART + 2, RLENGTH - 2)
    line = substr(line, RSTART + RLENGTH)
    at = match(line, /   *[^ ]/)
    argument[c, n] = substr(line, 1, at ? at - 1 : length(line))
    sub(/^=/, "", argument[c, n])
    sub(/ +$/, "", argument[c, n])
    text_[c, n] = at ? substr(line, at) : ""
    gsub(/^ +/, "", text_[c, n])
}

function read_command(c,   lines, n, i, where) {
    n = split(run("ARGP_HELP_FMT=rmargin=4000 " handgrad " " c " --help"), lines, "\n")
    for (i = 1; i < n; i++)
        if (sub(/^(Usage:|  or: ) handgrad [a-z]+ */, "", lines[i]))
            usage[c] = usage[c] (i > 1 ? "\n" : "") lines[i]
        else if (lines[i] ~ /^ +(-., )?--[a-z]/) {
            read_option(c, lines[i])
            where = "after"
        } else if (options[c] && text_[c, options[c]] == "" && lines[i] ~ /^                    /) { # help text on its own line
            text_[c, options[c]] = lines[i]
            sub(/^ +/, "", text_[c, options[c]])
        } else if (lines[i] ~ /^Mandatory or optional/)
            continue
        else
            doc[c, where] = doc[c, where] lines[i] "\n"
    if (c == "bench" && match(doc[c, ""], /MODEL is [^;]*/)) {
        workloads = substr(doc[c, ""], RSTART + 9, RLENGTH - 9) " decode memory"
        gsub(/,| or /, " ", workloads)
        gsub(/[ \n]+/, " ", workloads)
    }
    if (c == "gradcheck" && match(doc[c, ""], /OP is one of[^A-Z]*/)) {
        operations = substr(doc[c, ""], RSTART + 12, RLENGTH - 12)
        gsub(/[ \n]+/, " ", operations)
    }
}

function read_all(   lines, n, i, words, section) {
    n = split(run(handgrad " --help"), lines, "\n")
    for (i = 1; i <= n; i++)
        if (lines[i] ~ /^  [a-z]+  /) {
            split(lines[i], words, " ")
            command[++commands] = words[1]
            summary[commands] = lines[i]
            sub(/^ +[a-z]+ +/, "", summary[commands])
            read_command(words[1])
        }
    n = split(run(handgrad " train --keys"), lines, "\n")
    for (i = 1; i <= n; i++)
        if (lines[i] ~ /^\[/)
            section = substr(lines[i], 2, index(lines[i], "]") - 2)
        else if (lines[i] ~ /^  [a-z]/) {
            split(lines[i], words, " ")
            keys = keys " " section "." words[1]
        }
}

# --- the manual page, in mdoc ---

function mdoc(text) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    gsub(/…/, "...", text)
    while (match(text, /[a-z0-9)]\. [A-Z]/)) # one sentence per line
        text = substr(text, 1, RSTART + 1) "\n" substr(text, RSTART + 3)
    return text
}

# Prints one line for each usage, such as "[OPTION...] FILE.h5".
function usage_lines(c, before,   lines, n, i) {
    n = split(usage[c], lines, "\n")
    for (i = 1; i <= n; i++)
        print before "\"" mdoc(lines[i]) "\""
}

function paragraphs(text,   lines, n, i, blank) {
    n = split(text, lines, "\n")
    for (i = 1; i <= n; i++)
        if (lines[i] == "")
            blank = 1
        else {
            if (blank)
                print ".Pp"
            blank = 0
            sub(/^ +/, "", lines[i])
            print mdoc(lines[i])
        }
}

function man(   i, j, c, line) {
    print ".\\\" written by docs/man/man.awk from the output of handgrad COMMAND --help"
    print ".Dd " date "\n.Dt HANDGRAD 1\n.Os\n.Sh NAME\n.Nm handgrad"
    print ".Nd train small GPT\\-style language models on CPUs"
    print ".Sh SYNOPSIS"
    for (i = 1; i <= commands; i++)
        usage_lines(command[i], ".Nm handgrad " command[i] "\n.Li ")
    print ".Nm handgrad\n.Fl \\-version"
    print ".Sh DESCRIPTION"
    print ".Nm\ntrains small GPT\\-style language models on CPUs, with every gradient derived by hand."
    print "With\n.Fl \\-version ,\nit prints its version, the commit it was built from, the compiler,"
    print "the instruction sets, and the versions of its libraries.\nThe commands are:"
    print ".Bl -tag -width gradcheck"
    for (i = 1; i <= commands; i++)
        print ".It Cm " command[i] "\n" mdoc(summary[i])
    print ".El"
    for (i = 1; i <= commands; i++) {
        c = command[i]
        print ".Ss handgrad " c
        usage_lines(c, ".D1 Li ")
        print ".Pp"
        paragraphs(doc[c, ""])
        print ".Bl -tag -width Ds"
        for (j = 1; j <= options[c]; j++) {
            line = ".It "
            if (short_[c, j] != "")
                line = line "Fl " mdoc(short_[c, j]) " , "
            line = line "Fl \\-" mdoc(name[c, j])
            if (argument[c, j] != "")
                line = line " Ns = Ns Ar " mdoc(argument[c, j])
            print line "\n" mdoc(text_[c, j])
        }
        print ".El"
        if (doc[c, "after"] ~ /[a-z]/) {
            print ".Pp"
            sub(/^\n+/, "", doc[c, "after"])
            paragraphs(doc[c, "after"])
        }
    }
    while ((getline line < tail) > 0)
        print line
}

# --- completions ---

# The words that complete an option's value; "" for file names.
function values(c, j,   a) {
    a = argument[c, j]
    if (c == "gradcheck" && a == "OP")
        return operations
    if (name[c, j] == "set")
        return "KEYS"
    if (name[c, j] == "method")
        return "central complex both"
    if (name[c, j] == "precision")
        return "f32 bf16 f64"
    if (name[c, j] == "split")
        return "train val"
    if (a ~ /^[a-z0-9|:A-Z]*\|/) {
        gsub(/\|/, " ", a)
        gsub(/ ?[A-Z]+/, "", a)
        return a
    }
    return ""
}

function bash(   i, j, c, v) {
    print "# bash completion for handgrad, written by docs/man/man.awk from --help"
    print "_handgrad()\n{"
    print "    local cur=${COMP_LINE:0:COMP_POINT} options values option # $cur: the word as typed, not split at ="
    print "    cur=${cur##* }"
    printf "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        COMPREPLY=($(compgen -W '"
    for (i = 1; i <= commands; i++)
        printf "%s ", command[i]
    print "--help --version' -- \"$cur\"))\n        return\n    fi\n    case ${COMP_WORDS[1]} in"
    for (i = 1; i <= commands; i++) {
        c = command[i]
        printf "    %s)\n        options='", c
        for (j = 1; j <= options[c]; j++)
            printf("%s--%s%s", (j > 1 ? " " : ""), name[c, j], (argument[c, j] == "" ? "" : "="))
        print "'"
        if (c == "gradcheck" || c == "bench")
            print "        values='" (c == "bench" ? workloads : substr(operations, 2)) "'"
        print "        case $cur in"
        for (j = 1; j <= options[c]; j++)
            if ((v = values(c, j)) != "")
                print "        --" name[c, j] "=*) option=" name[c, j] " values='" (v == "KEYS" ? keys : v) "' ;;"
        print "        esac\n        ;;"
    }
    print "    esac"
    print "    if [[ $cur == --*=* ]]; then"
    print "        if [ -n \"$option\" ]; then"
    print "            COMPREPLY=($(compgen -P \"--$option=\" -W \"$values\" -- \"${cur#*=}\"))"
    print "            [ \"$option\" = set ] && COMPREPLY=(\"${COMPREPLY[@]/%/=}\") && compopt -o nospace 2>/dev/null"
    print "        else\n            compopt -o filenames 2>/dev/null"
    print "            COMPREPLY=($(compgen -P \"${cur%%=*}=\" -f -- \"${cur#*=}\"))\n        fi"
    print "        [[ $COMP_WORDBREAKS == *=* ]] && COMPREPLY=(\"${COMPREPLY[@]#\"${cur%\"${cur##*=}\"}\"}\")"
    print "    elif [[ $cur == -* ]]; then"
    print "        COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))"
    print "        [[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null"
    print "    else\n        compopt -o filenames 2>/dev/null"
    print "        COMPREPLY=($(compgen -W \"$values\" -- \"$cur\") $(compgen -f -- \"$cur\"))\n    fi\n}"
    print "complete -F _handgrad handgrad"
}

function zsh_text(text) {
    gsub(/'/, "'\\''", text)
    gsub(/\[/, "\\[", text)
    gsub(/\]/, "\\]", text)
    gsub(/:/, "\\:", text)
    return text
}

function zsh(   i, j, c, v, a) {
    print "#compdef handgrad\n# zsh completion for handgrad, written by docs/man/man.awk from --help"
    print "_handgrad() {\n    local curcontext=$curcontext state line\n    local -a commands\n    commands=("
    for (i = 1; i <= commands; i++)
        print "        '" command[i] ":" zsh_text(summary[i]) "'"
    print "    )\n    if (( CURRENT == 2 )); then\n        _describe command commands\n        compadd -- --help --version\n        return\n    fi"
    print "    local command=${words[2]}\n    words=(\"handgrad $command\" \"${(@)words[3,-1]}\")\n    (( CURRENT-- ))\n    case $command in"
    for (i = 1; i <= commands; i++) {
        c = command[i]
        print "    " c ")\n        _arguments -s \\"
        for (j = 1; j <= options[c]; j++) {
            a = argument[c, j]
            v = values(c, j)
            if (v == "KEYS")
                v = keys
            printf("            '%s--%s%s[%s]%s' \\\n", (text_[c, j] ~ /may be repeated/ ? "*" : ""), name[c, j], (a == "" ? "" : "="),
                   zsh_text(text_[c, j]), (a == "" ? "" : ":" zsh_text(a) ":" (v != "" ? "(" v ")" : "_files")))
        }
        print "            '*:file:" (c == "gradcheck" ? "(" substr(operations, 2) ")" : c == "bench" ? "(" workloads ")" : "_files") "'\n        ;;"
    }
    print "    esac\n}\n_handgrad \"$@\""
}

BEGIN {
    handgrad = ENVIRON["HANDGRAD"] ? ENVIRON["HANDGRAD"] : "./handgrad"
    tail = ENVIRON["TAIL"] ? ENVIRON["TAIL"] : "docs/man/tail.mdoc"
    date = ENVIRON["DATE"]
    read_all()
    if (form == "man")
        man()
    else if (form == "bash")
        bash()
    else
        zsh()
}
