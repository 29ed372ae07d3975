/* gradcheck.c: handgrad gradcheck. */
#include "base/suggest.h"
#include "train/cli/command.h"
#include "train/grade/gradcheck_report.h"
#include <string.h>

static const char *const method_names[] = {"central", "complex", "both", NULL};
static const unsigned methods[] = {GRADCHECK_CENTRAL | GRADCHECK_CONTRACT | GRADCHECK_PRECISION,
                                   GRADCHECK_COMPLEX | GRADCHECK_CONTRACT | GRADCHECK_PRECISION,
                                   GRADCHECK_ALL};

struct arguments {
    struct gradcheck_options o;
    struct operand_list operands;
    const char *diagnosed, *template;
    int method; /* index in methods */
};

static int find_operation(const char *name, enum op *op, struct error *err)
{
    *op = op_find(name);
    if (!strcmp(name, "model") || !strcmp(name, "adamw"))
        return fail(err,
                    "'%s' is not a single operation: --template and --diagnose do not support it",
                    name);
    if (*op < OPS)
        return 0;
    const char *names[OPS], *nearest;
    for (size_t i = 0; i < OPS; i++)
        names[i] = op_info[i].name;
    nearest = suggest_nearest(name, names, OPS);
    return fail(err, "'%s': unknown operation; %s%s%s--help lists them", name,
                nearest ? "did you mean " : "", nearest ? nearest : "", nearest ? "? " : "");
}

/* The operands select what to check; the default is everything. */
static int select_operations(struct arguments *a, struct error *err)
{
    const bool all = !a->operands.n;
    for (int op = 0; op < OPS; op++)
        a->o.op[op] = all;
    a->o.model = a->o.optimiser = all;
    for (size_t i = 0; i < a->operands.n; i++) {
        const char *name = a->operands.items[i];
        enum op op;
        if (!strcmp(name, "model"))
            a->o.model = true;
        else if (!strcmp(name, "adamw"))
            a->o.optimiser = true;
        else if (find_operation(name, &op, err))
            return -1;
        else
            a->o.op[op] = true;
    }
    return 0;
}

static int check(struct arguments *a, struct error *err)
{
    a->o.methods = methods[a->method];
    if (a->template && find_operation(a->template, &a->o.template, err))
        return -1;
    if (!a->diagnosed)
        return select_operations(a, err);
    if (a->operands.n != 1)
        return fail(err, "--diagnose: expected one FILE.so, got %zu", a->operands.n);
    a->o.library = a->operands.items[0];
    return find_operation(a->diagnosed, &a->o.diagnosed, err);
}

/* "embedding linear … block model adamw" */
static void list_operations(char *text, size_t size)
{
    size_t n = 0;
    for (int op = 0; op < OPS; op++)
        n += snprintf(text + n, size - n, "%s ", op_info[op].name);
    snprintf(text + n, size - n, "model adamw");
}

int command_gradcheck(int argc, char **argv, struct error *err)
{
    struct arguments a = {.o = {.seed = 1, .diagnosed = OPS, .template = OPS}, .method = 2};
    const struct option_spec options[] = {
        {"OP", .operands = &a.operands, .optional = true},
        {"method", 0, "NAME", "central (differences), complex (step) or both (both)",
         .choice = &a.method, .choices = method_names},
        {"mistakes", 0, NULL, "Count how many of the planted mistakes the checker catches",
         .flag = &a.o.mistakes},
        {"sweep", 0, NULL, "Print the error of each method over the step size; draw it with -o",
         .flag = &a.o.sweep},
        {"template", 0, "OP", "Write a C file with OP's forward and an empty backward to fill in",
         .string = &a.template},
        {"diagnose", 0, "OP",
         "Check your own implementation of OP, compiled to the shared object FILE.so, and name "
         "its mistake",
         .string = &a.diagnosed},
        {"output", 'o', "FILE",
         "Write the output of --template, or a picture of --sweep (.png, .svg or .pdf), to FILE",
         .string = &a.o.output},
        {"json", 'j', NULL, "Print one JSON object per line", .flag = &a.o.json},
        {"seed", 0, "S", "Seed of the random numbers (1)", .count = &a.o.seed},
        {0}};
    char names[512], description[1024];
    list_operations(names, sizeof names);
    snprintf(description, sizeof description,
             "Checks every hand-written backward pass, and that of the whole model, against the "
             "complex step and central differences. Checks every forward pass against its "
             "definition, and float against double. OP is one of\n\n  %s\v"
             "The exit status is 1 if any check fails.",
             names);
    parse_command_line(argc, argv, options, "[OP…]\n--diagnose OP FILE.so", description);
    if (check(&a, err))
        return WRONG_USAGE;
    int status;
    if (a.template)
        status = gradcheck_write_template(&a.o, err);
    else if (a.diagnosed)
        status = gradcheck_diagnose(&a.o, err);
    else if (a.o.sweep)
        status = gradcheck_print_sweep(&a.o, err);
    else if (a.o.mistakes)
        status = gradcheck_print_mistakes(&a.o, err);
    else
        status = gradcheck_run(&a.o, err);
    return status;
}
