/* gradcheck_mistakes.c: handgrad gradcheck --mistakes: which planted mistakes each method finds. */
#include "optim/adamw_check.h"
#include "train/grade/gradcheck_report.h"

struct count {
    size_t planted, caught, by[CAUGHT_BY];
};

/* Prints and counts one mistake. */
static void report(const struct gradcheck_options *o, struct count *n, const char *op,
                   const char *name, const char *why, const struct gradcheck_caught *c)
{
    static const char *const columns[] = {"complex", "central", "contract", "naive"},
                             *const truth[] = {"false", "true"};
    static const int widths[] = {8, 8, 9, 6};
    const bool caught = c->by[CAUGHT_COMPLEX] || c->by[CAUGHT_CENTRAL] || c->by[CAUGHT_CONTRACT];
    n->planted++;
    n->caught += caught;
    if (o->json)
        printf("{\"op\": \"%s\", \"mistake\": \"%s\", \"caught\": %s", op, name, truth[caught]);
    else
        printf("%-10s %-44s", op, name);
    for (size_t i = 0; i < CAUGHT_BY; i++) {
        n->by[i] += c->by[i];
        if (o->json)
            printf(", \"%s\": %s", columns[i], truth[c->by[i]]);
        else
            printf(" %-*s", widths[i], c->by[i] ? "seen" : "-");
    }
    if (o->json)
        puts("}");
    else
        printf(" %s%s\n", caught ? "" : "MISSED: ", why);
    fflush(stdout);
}

static int operations(const struct gradcheck_options *o, struct count *n)
{
    int failed = 0;
#pragma omp parallel for schedule(dynamic) ordered
    for (size_t i = 0; i < mistakes_count; i++) {
        const struct mistake *m = &mistakes[i];
        struct gradcheck_caught c = {0};
        const int status = o->op[m->op] ? gradcheck_mistake(&c, m, o->seed) : 0;
#pragma omp ordered
        if (o->op[m->op]) {
            failed |= status;
            report(o, n, op_info[m->op].name, m->name, m->why, &c);
        }
    }
    return failed;
}

static int model(const struct gradcheck_options *o, struct count *n)
{
    int failed = 0;
    for (size_t i = 0; i < MODEL_MISTAKES && o->model; i++) {
        struct gradcheck_caught c = {0};
        failed |= gradcheck_model_mistake(&c, i, o->seed);
        report(o, n, "model", model_mistakes_f64[i].name, model_mistakes_f64[i].why, &c);
    }
    return failed;
}

/* An optimiser has no derivative: it is compared with the exact update. */
static int optimiser(const struct gradcheck_options *o, struct count *n)
{
    int failed = 0;
    for (int i = 0; o->optimiser && i < OPTIM_MISTAKES; i++) {
        const struct optim_mistake *m = optcheck_mistake_f64(i);
        const double error = optcheck_error_f64(i);
        const struct gradcheck_caught c = {.by[CAUGHT_CONTRACT] =
                                               !(error <= OPTCHECK_TOLERANCE_F64)};
        failed |= error == -1;
        report(o, n, "adamw", m->name, m->why, &c);
    }
    return failed;
}

int gradcheck_print_mistakes(const struct gradcheck_options *o, struct error *err)
{
    struct count n = {0};
    if (!o->json)
        printf("%-10s %-44s %-8s %-8s %-9s %-6s %s\n", "operation", "planted mistake", "complex",
               "central", "contract", "naive", "why people make it, or what it does");
    if (operations(o, &n) || model(o, &n) || optimiser(o, &n)) {
        fail(err, "out of memory");
        return 1;
    }
    printf(o->json ? "{\"caught\": %zu, \"planted\": %zu, \"complex\": %zu, \"central\": %zu, "
                     "\"contract\": %zu, \"naive\": %zu}\n"
                   : "\ncaught %zu of %zu planted mistakes (the complex step alone %zu, central "
                     "differences alone %zu,\nthe contract alone %zu; float with an upstream "
                     "gradient of ones and one step size: %zu)\n",
           n.caught, n.planted, n.by[CAUGHT_COMPLEX], n.by[CAUGHT_CENTRAL], n.by[CAUGHT_CONTRACT],
           n.by[CAUGHT_NAIVE]);
    return n.caught == n.planted ? 0 : 1;
}
