/* gradcheck.c: handgrad gradcheck. */
#include "base/clock.h"
#include "optim/adamw_check.h"
#include "train/cli/command.h"
#include "train/cli/options.h"
#include "train/grade/gradcheck_report.h"
#include <math.h>
#include <string.h>

enum { METHOD = 1000, SWEEP, MISTAKES, DIAGNOSE, TEMPLATE, SEED };

static const struct argp_option options[] = {
    {"method", METHOD, "NAME", 0, "central (differences), complex (step) or both (both)", 0},
    {"mistakes", MISTAKES, NULL, 0,
     "Check the checker: how many of the planted mistakes does it catch?", 0},
    {"sweep", SWEEP, NULL, 0, "The error of each method over the step size, as a picture with -o",
     0},
    {"diagnose", DIAGNOSE, "OP", 0,
     "Check your own OP (not model, adamw), built into the shared object FILE.so, and name its "
     "mistake",
     0},
    {"template", TEMPLATE, "OP", 0,
     "Write a C file to begin your own OP with (to -o, or standard output)", 0},
    {"output", 'o', "FILE", 0,
     "Where --template writes C and --sweep its picture (.png, .svg or .pdf)", 0},
    {"json", 'j', NULL, 0, "One JSON object a line", 0},
    {"seed", SEED, "S", 0, "Of the random numbers (1)", 0},
    {0}};

static const char documentation[] = "Checks every hand-written backward, and that of the whole "
                                    "model, against derivatives found by the complex step and by "
                                    "central differences; every forward against its definition; "
                                    "and float against double. OP is one of\n\n"
                                    "  embedding linear layernorm gelu_tanh gelu_erf softmax "
                                    "dropout residual attention mlp loss block model adamw\v"
                                    "Ends with 1 where anything fails.";

struct parsed {
    struct gradcheck_options o;
    bool any;
};

static enum op operation(struct argp_state *state, const char *name)
{
    const enum op op = op_find(name);
    if (!strcmp(name, "model") || !strcmp(name, "adamw"))
        argp_error(state, "'%s' is no single operation: it has no template, and is not diagnosed",
                   name);
    if (op == OPS)
        argp_error(state, "'%s' is no operation; --help lists them", name);
    return op;
}

static void argument(struct parsed *p, const char *arg, struct argp_state *state)
{
    if (p->o.diagnosed != OPS) {
        if (p->o.library)
            argp_error(state, "'%s': one FILE.so is enough", arg);
        p->o.library = arg;
        return;
    }
    p->any = true;
    if (!strcmp(arg, "model"))
        p->o.model = true;
    else if (!strcmp(arg, "adamw"))
        p->o.optimiser = true;
    else
        p->o.op[operation(state, arg)] = true;
}

static void method(struct parsed *p, const char *arg, struct argp_state *state)
{
    const unsigned others = GRADCHECK_CONTRACT | GRADCHECK_PRECISION;
    if (!strcmp(arg, "both"))
        p->o.methods = GRADCHECK_ALL;
    else if (!strcmp(arg, "central"))
        p->o.methods = GRADCHECK_CENTRAL | others;
    else if (!strcmp(arg, "complex"))
        p->o.methods = GRADCHECK_COMPLEX | others;
    else
        argp_error(state, "--method: '%s' is none of central, complex and both", arg);
}

static void finish(struct parsed *p, struct argp_state *state)
{
    if (p->o.diagnosed != OPS && !p->o.library)
        argp_error(state, "--diagnose: FILE.so is missing");
    for (int op = 0; op < OPS && !p->any; op++)
        p->o.op[op] = true;
    p->o.model |= !p->any;
    p->o.optimiser |= !p->any;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct parsed *p = state->input;
    switch (key) {
    case METHOD:
        method(p, arg, state);
        return 0;
    case MISTAKES:
        p->o.mistakes = true;
        return 0;
    case SWEEP:
        p->o.sweep = true;
        return 0;
    case DIAGNOSE:
        p->o.diagnosed = operation(state, arg);
        return 0;
    case TEMPLATE:
        p->o.template = operation(state, arg);
        return 0;
    case SEED:
        p->o.seed = option_u64(state, "--seed", arg, 0, UINT64_MAX);
        return 0;
    case 'o':
        p->o.output = arg;
        return 0;
    case 'j':
        p->o.json = true;
        return 0;
    case ARGP_KEY_ARG:
        argument(p, arg, state);
        return 0;
    case ARGP_KEY_END:
        finish(p, state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* The update that trains has no backward: its two builds stand against the exact update. */
static int check_optimiser(struct gradcheck_report *report)
{
    const struct {
        const char *tensor;
        double error, tolerance;
    } builds[] = {{"update in double", optcheck_error_f64(OPTIM_RIGHT), OPTCHECK_TOLERANCE_F64},
                  {"update in float", optcheck_error_f32(OPTIM_RIGHT), OPTCHECK_TOLERANCE_F32}};
    for (size_t i = 0; i < 2; i++) {
        struct gradcheck_line line = {.subject = "adamw",
                                      .method = i ? "float" : "definition",
                                      .error = builds[i].error,
                                      .tolerance = builds[i].tolerance};
        snprintf(line.tensor, sizeof line.tensor, "%s", builds[i].tensor);
        line.ok = line.error <= line.tolerance && line.error != -1;
        gradcheck_collect(report, &line);
        if (line.error == -1)
            return -1;
    }
    return 0;
}

static int check_all(const struct gradcheck_options *o, struct error *err)
{
    struct gradcheck_report report = {.json = o->json};
    const struct gradcheck g = {
        .methods = o->methods, .seed = o->seed, .report = gradcheck_collect, .to = &report};
    const double start = seconds();
    int broken = 0;
    if (!o->json)
        gradcheck_print_heading();
    for (int op = 0; op < OPS && !broken; op++) {
        if (!o->op[op])
            continue;
        const struct gradcheck_subject s = gradcheck_subject((enum op)op);
        broken = gradcheck_op(&g, &s) < 0;
        gradcheck_print_rows(&report, s.name);
    }
    if (o->model && !broken) {
        const struct gradcheck_model m = gradcheck_model_subject();
        broken = gradcheck_model(&g, &m) < 0;
        gradcheck_print_rows(&report, m.name);
    }
    if (o->optimiser && !broken) {
        broken = check_optimiser(&report) < 0;
        gradcheck_print_rows(&report, "adamw");
    }
    if (broken)
        return fail(err, "out of memory"), 1;
    if (!o->json)
        printf("\n%zu comparisons, %zu failed, in %.1f s. Errors are norm-wise relative; the "
               "complex step's bar is %.0e\n"
               "(%.0e for the model), that of differences their own estimate, that of float what "
               "its rounding can do.\n",
               report.comparisons, report.failed, seconds() - start, GRADCHECK_OP_TOLERANCE,
               GRADCHECK_MODEL_TOLERANCE);
    return report.failed ? 1 : 0;
}

int command_gradcheck(int argc, char **argv)
{
    struct parsed p = {
        .o = {.methods = GRADCHECK_ALL, .seed = 1, .diagnosed = OPS, .template = OPS}};
    const struct argp argp = {options, parse, "[OP…] [FILE.so]", documentation, NULL, NULL, NULL};
    argp_parse(&argp, argc, argv, 0, NULL, &p);
    struct error err = {0};
    int code;
    if (p.o.template != OPS)
        code = gradcheck_write_template(&p.o, &err);
    else if (p.o.diagnosed != OPS)
        code = gradcheck_diagnose(&p.o, &err);
    else if (p.o.sweep)
        code = gradcheck_print_sweep(&p.o, &err);
    else if (p.o.mistakes)
        code = gradcheck_print_mistakes(&p.o, &err);
    else
        code = check_all(&p.o, &err);
    return err.text[0] ? print_error(&err) : code;
}
