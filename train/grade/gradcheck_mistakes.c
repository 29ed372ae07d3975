/* gradcheck_mistakes.c: handgrad gradcheck --mistakes: how many of the planted mistakes each way of checking sees. */
#include "model/check/mistakes.h"
#include "optim/adamw_check.h"
#include "train/grade/gradcheck_report.h"
#include <stdlib.h>

struct count {
    size_t planted, caught, complex, central, contract, naive;
};

static const char *mark(bool caught)
{
    return caught ? "seen" : "-";
}

static void print_line(const struct gradcheck_options *o, const char *op, const char *name,
                       const char *why, const struct gradcheck_caught *c, bool caught)
{
    if (o->json)
        printf("{\"op\": \"%s\", \"mistake\": \"%s\", \"caught\": %s, \"complex\": %s, "
               "\"central\": %s, \"contract\": %s, "
               "\"naive\": %s}\n",
               op, name, caught ? "true" : "false", c->complex ? "true" : "false",
               c->central ? "true" : "false", c->contract ? "true" : "false",
               c->naive ? "true" : "false");
    else
        printf("%-10s %-38s %-8s %-8s %-9s %-6s %s%s\n", op, name, mark(c->complex),
               mark(c->central), mark(c->contract), mark(c->naive), caught ? "" : "MISSED: ", why);
    fflush(stdout);
}

static bool wanted(const struct gradcheck_options *o, const struct mistake *m)
{
    return m->op == OPS ? o->model : o->op[m->op];
}

static int operations(const struct gradcheck_options *o, struct count *n)
{
    int failed = 0;
#pragma omp parallel for schedule(dynamic) ordered
    for (size_t i = 0; i < mistakes_count; i++) {
        const struct mistake *m = &mistakes[i];
        struct gradcheck_caught c = {0};
        const int status = wanted(o, m) ? gradcheck_mistake(&c, i, o->seed) : 0;
#pragma omp ordered
        if (wanted(o, m)) {
            const bool caught = c.complex || c.central || c.contract;
            failed |= status;
            n->planted++;
            n->caught += caught;
            n->complex += c.complex;
            n->central += c.central;
            n->contract += c.contract;
            n->naive += c.naive;
            print_line(o, m->op == OPS ? "model" : op_info[m->op].name, m->name, m->why, &c,
                       caught);
        }
    }
    return failed;
}

/* The optimiser has no derivative: the exact update is its only oracle. */
static int optimiser(const struct gradcheck_options *o, struct count *n)
{
    int failed = 0;
    for (int i = 0; o->optimiser && i < OPTIM_MISTAKES; i++) {
        const struct optim_mistake *m = optcheck_mistake_f64((size_t)i);
        const double error = optcheck_error_f64(i);
        const struct gradcheck_caught c = {.contract = !(error <= OPTCHECK_TOLERANCE_F64)};
        failed |= error == -1;
        n->planted++;
        n->caught += c.contract;
        n->contract += c.contract;
        print_line(o, "adamw", m->name, m->why, &c, c.contract);
    }
    return failed;
}

int gradcheck_print_mistakes(const struct gradcheck_options *o, struct error *err)
{
    struct count n = {0};
    if (!o->json)
        printf("%-10s %-38s %-8s %-8s %-9s %-6s %s\n", "operation", "planted mistake", "complex",
               "central", "contract", "naive", "why it happens, or what it does");
    if (operations(o, &n) || optimiser(o, &n)) {
        fail(err, "out of memory");
        return 1;
    }
    if (!o->json)
        printf("\ncaught %zu of %zu planted mistakes (complex step alone %zu, central differences "
               "alone %zu, contract alone %zu;\n"
               "in float with an upstream gradient of ones and one step size: %zu)\n",
               n.caught, n.planted, n.complex, n.central, n.contract, n.naive);
    else
        printf("{\"caught\": %zu, \"planted\": %zu, \"complex\": %zu, \"central\": %zu, "
               "\"contract\": %zu, \"naive\": %zu}\n",
               n.caught, n.planted, n.complex, n.central, n.contract, n.naive);
    return n.caught == n.planted ? 0 : 1;
}
