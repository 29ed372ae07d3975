# man.awk: the manual page and the shells' completions out of what the commands say of themselves:
#
#   HANDGRAD=./handgrad awk -f docs/man/man.awk -v form=man|bash|zsh
#
# The commands are those of `handgrad --help`, their options those of `handgrad COMMAND --help`, the keys of a configuration those of
# `handgrad train --keys`: nothing is listed twice. What --help does not say (files, exit status, examples) is in docs/man/tail.mdoc.

function run(command,   line, text) {
    text = ""
    while ((command | getline line) > 0)
        text = text line "\n"
    close(command)
    return text
}

# "  -o, --output=FILE   What it does" → option o, name "output", argument "FILE"
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
    usage[c] = lines[1]
    sub(/^Usage: handgrad [a-z]+ */, "", usage[c])
    for (i = 2; i < n; i++)
        if (lines[i] ~ /^ +(-., )?--[a-z]/) {
            read_option(c, lines[i])
            where = "after"
        } else if (options[c] && text_[c, options[c]] == "" && lines[i] ~ /^                    /) { # its column was too narrow
            text_[c, options[c]] = lines[i]
            sub(/^ +/, "", text_[c, options[c]])
        } else if (lines[i] ~ /^Mandatory or optional/)
            continue
        else
            doc[c, where] = doc[c, where] lines[i] "\n"
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
    while (match(text, /[a-z0-9)]\. [A-Z]/)) # a sentence a line
        text = substr(text, 1, RSTART + 1) "\n" substr(text, RSTART + 3)
    return text
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
    print ".\\\" made by docs/man/man.awk from what `handgrad COMMAND --help` says"
    print ".Dd " date "\n.Dt HANDGRAD 1\n.Os\n.Sh NAME\n.Nm handgrad"
    print ".Nd trains small GPT\\-style language models, every gradient derived by hand"
    print ".Sh SYNOPSIS"
    for (i = 1; i <= commands; i++)
        print ".Nm handgrad " command[i] "\n.Li \"" mdoc(usage[command[i]]) "\""
    print ".Sh DESCRIPTION"
    print ".Nm\ntrains small GPT\\-style language models on CPUs, from a text file to a model that writes.\nIts commands are:"
    print ".Bl -tag -width gradcheck"
    for (i = 1; i <= commands; i++)
        print ".It Cm " command[i] "\n" mdoc(summary[i])
    print ".El"
    for (i = 1; i <= commands; i++) {
        c = command[i]
        print ".Ss handgrad " c "\n.Li \"" mdoc(usage[c]) "\"\n.Pp"
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

# What may follow an option: words, or files.
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
    print "# bash completion of handgrad; made by docs/man/man.awk from --help"
    print "_handgrad()\n{"
    print "    local cur=${COMP_LINE:0:COMP_POINT} options values option # words as typed, not cut at ="
    print "    cur=${cur##* }"
    printf "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        COMPREPLY=($(compgen -W '"
    for (i = 1; i <= commands; i++)
        printf "%s ", command[i]
    print "help' -- \"$cur\"))\n        return\n    fi\n    case ${COMP_WORDS[1]} in"
    for (i = 1; i <= commands; i++) {
        c = command[i]
        printf "    %s)\n        options='", c
        for (j = 1; j <= options[c]; j++)
            printf("%s--%s%s", (j > 1 ? " " : ""), name[c, j], (argument[c, j] == "" ? "" : "="))
        print "'"
        if (c == "gradcheck")
            print "        values='" substr(operations, 2) "'"
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
    print "#compdef handgrad\n# zsh completion of handgrad; made by docs/man/man.awk from --help"
    print "_handgrad() {\n    local curcontext=$curcontext state line\n    local -a commands\n    commands=("
    for (i = 1; i <= commands; i++)
        print "        '" command[i] ":" zsh_text(summary[i]) "'"
    print "    )\n    if (( CURRENT == 2 )); then\n        _describe command commands\n        return\n    fi"
    print "    local command=${words[2]}\n    words=(\"handgrad $command\" \"${(@)words[3,-1]}\")\n    (( CURRENT-- ))\n    case $command in"
    for (i = 1; i <= commands; i++) {
        c = command[i]
        print "    " c ")\n        _arguments -s \\"
        for (j = 1; j <= options[c]; j++) {
            a = argument[c, j]
            v = values(c, j)
            if (v == "KEYS")
                v = keys
            printf("            '%s--%s%s[%s]%s' \\\n", (name[c, j] == "set" ? "*" : ""), name[c, j], (a == "" ? "" : "="),
                   zsh_text(text_[c, j]), (a == "" ? "" : ":" zsh_text(a) ":" (v != "" ? "(" v ")" : "_files")))
        }
        print "            '*:file:" (c == "gradcheck" ? "(" substr(operations, 2) ")" : "_files") "'\n        ;;"
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
