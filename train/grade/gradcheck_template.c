/* gradcheck_template.c: handgrad gradcheck --template OP: a C file with the forward of an operation
 * and an empty backward. The code is that of the textbook version (model/plain); generate.awk makes
 * the strings. The file of a composition also contains the forwards of its parts. */
#include "train/grade/gradcheck_report.h"
#include "train/grade/op_template.h"
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static const struct op_template *find(enum op op)
{
    const struct op_template *t = op_templates;
    while (strcmp(t->function, op_info[op].function))
        t++;
    return t;
}

/* The compiler option that finds handgrad_op.h: in a clone, or where handgrad was installed, it
 * lies in include/ beside the binary or its directory. Returns text: "-IDIR ", or "" if the
 * compiler searches the directory anyway. */
static const char *include_option(char text[PATH_MAX + 4])
{
    char path[PATH_MAX], header[PATH_MAX + 32];
    const ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    *text = 0;
    if (n < 0)
        return text;
    path[n] = 0;
    for (int level = 0; level < 2 && strchr(path, '/'); level++) {
        *strrchr(path, '/') = 0;
        snprintf(header, sizeof header, "%s/include/handgrad_op.h", path);
        if (access(header, R_OK))
            continue;
        if (strcmp(path, "/usr") && strcmp(path, "/usr/local"))
            snprintf(text, PATH_MAX + 4, "-I%.*s/include ", PATH_MAX - 16, path);
        break;
    }
    return text;
}

static void write_heading(FILE *f, enum op op, const char *output)
{
    static const char *const roles[] = {"input", "parameter", "output", "saved", "scratch"};
    const char *file = output ? output : "my.c", *slash = strrchr(file, '/');
    file = slash ? slash + 1 : file;
    char option[PATH_MAX + 4];
    const char *dot = strrchr(file, '.'), *name = op_info[op].name;
    const int stem = (int)(dot ? dot - file : (ptrdiff_t)strlen(file));
    fprintf(f,
            "/* %s: your backward for %s.\n *\n"
            " *     cc -O2 -shared -fPIC %s%s -o %.*s.so -lm\n"
            " *     handgrad gradcheck --diagnose %s ./%.*s.so\n *\n",
            file, name, include_option(option), file, stem, file, name, stem, file);
    for (size_t k = 0; k < op_info[op].count; k++) {
        const struct op_tensor *t = &op_info[op].tensors[k];
        fprintf(f, " *     %-*s (%s) %s%s\n", op == OP_BLOCK ? 18 : 9, t->name, t->shape,
                roles[t->role], t->is_bias ? ", or NULL" : "");
    }
    fprintf(f,
            " *\n"
            " * with N = B T. The backward adds (+=) into the gradients of inputs and parameters.\n"
            " * If you remove the forward, only the backward is diagnosed.\n"
            " */\n"
            "#include <handgrad_op.h>\n"
            "#include <math.h>\n"
            "#include <stdlib.h>\n"
            "#include <string.h>\n\n");
}

/* The forwards of the parts, innermost first, each once; then that of the operation itself. */
static void write_forwards(FILE *f, enum op op)
{
    struct op_place places[OP_PLACES_MAX];
    const struct op_template *written[OP_PLACES_MAX];
    size_t n = 0;
    for (size_t i = op_places(places, op); i-- > 0;) {
        const struct op_template *t = find(places[i].op);
        size_t k = 0;
        while (k < n && written[k] != t)
            k++;
        if (k == n) {
            written[n++] = t;
            fputs(t->forward, f);
        }
    }
}

static void write_template(FILE *f, enum op op, const char *output)
{
    write_heading(f, op, output);
    write_forwards(f, op);
    fprintf(f, "%s{\n    /* your code */\n}\n", find(op)->backward);
}

int gradcheck_write_template(const struct gradcheck_options *o, struct error *err)
{
    if (!o->output) {
        write_template(stdout, o->template, NULL);
        return 0;
    }
    FILE *f = fopen(o->output, "wx"); /* does not overwrite work in progress */
    if (!f)
        return fail(err, "%s: %s", o->output, strerror(errno)), 1;
    write_template(f, o->template, o->output);
    if (ferror(f) | fclose(f))
        return fail(err, "%s: %s", o->output, strerror(errno)), 1;
    return 0;
}
