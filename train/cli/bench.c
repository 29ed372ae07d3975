/* bench.c: handgrad bench. */
#include "train/bench/bench.h"
#include "train/cli/command.h"
#include "train/cli/options.h"
#include <stdio.h>
#include <string.h>

enum { ALL = 1000, PRECISION, RECOMPUTE, RUNS };

static const struct argp_option options[] = {
    {"all", ALL, NULL, 0, "Every workload; takes long (gpt2-124m:1x16384 alone several minutes)",
     0},
    {"precision", PRECISION, "TYPE", 0, "Of the products: f32 or bf16 (f32)", 0},
    {"recompute", RECOMPUTE, "WHAT", 0,
     "Of the backward, as [train] recompute: none, gelu or block (gelu)", 0},
    {"runs", RUNS, "N", 0,
     "Measured runs of each thing, after one that does not count (as many as fit into a few "
     "seconds)",
     0},
    {"json", 'j', NULL, 0, "One JSON object a line", 0},
    {0}};

/* A precision is a row here and a build of bench_code.c. */
static const struct bench_code *const precisions[] = {&bench_code_f32, &bench_code_bf16};

struct parsed {
    struct bench bench;
    struct workloads workloads;
};

static const struct bench_code *precision(const char *name, struct argp_state *state)
{
    for (size_t i = 0; i < sizeof precisions / sizeof *precisions; i++)
        if (!strcmp(precisions[i]->precision, name))
            return precisions[i];
    argp_error(state, "--precision: '%s' is not one that trains: expected f32 or bf16", name);
    return NULL;
}

static enum recompute recompute(const char *name, struct argp_state *state)
{
    for (int i = 0; recompute_names[i]; i++)
        if (!strcmp(recompute_names[i], name))
            return (enum recompute)i;
    argp_error(state, "--recompute: '%s': expected none, gelu or block", name);
    return RECOMPUTE_GELU;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct parsed *p = state->input;
    struct error err;
    switch (key) {
    case ALL:
        workloads_add_all(&p->workloads);
        return 0;
    case PRECISION:
        p->bench.code = precision(arg, state);
        return 0;
    case RECOMPUTE:
        p->bench.recompute = recompute(arg, state);
        return 0;
    case RUNS:
        p->bench.runs = option_u64(state, "--runs", arg, 1, 999);
        return 0;
    case 'j':
        p->bench.json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (workloads_add(&p->workloads, arg, &err))
            argp_error(state, "%s", err.text);
        return 0;
    case ARGP_KEY_END:
        if (!p->workloads.count)
            workloads_add_default(&p->workloads);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int train_workload(const struct bench *b, const struct workload *w, struct error *err)
{
    struct step_result steps;
    struct products_result products;
    struct operations_result operations;
    double memory;
    if (measure_steps(b, w, &steps, &memory, err))
        return -1;
    report_steps(b, w, &steps, memory);
    if (measure_operations(b, w, &operations, err))
        return -1;
    report_operations(b, w, &operations, steps.time.median);
    if (measure_products(b, w, &products, err))
        return -1;
    report_products(b, w, &products);
    return 0;
}

static int decode_workload(const struct bench *b, const struct workload *w, struct error *err)
{
    struct decode_result r;
    double memory;
    if (measure_decode(b, w, &r, &memory, err))
        return -1;
    report_decode(b, w, &r, memory);
    return 0;
}

static int memory_workload(const struct bench *b, struct error *err)
{
    struct workloads w = {0};
    workloads_add_memory(&w);
    for (size_t i = 0; i < w.count; i++) {
        double memory;
        if (measure_memory(b, &w.list[i], &memory, err))
            return -1;
        report_memory(b, &w.list[i], memory, i == 0);
    }
    return 0;
}

/* One that fails does not keep the others from their turn. */
static int run_bench(struct parsed *p)
{
    int code = 0;
    struct error err;
    struct bench *b = &p->bench;
    if (measure_machine(b, &err))
        return print_error(&err);
    report_machine(b);
    for (size_t i = 0; i < p->workloads.count; i++) {
        const struct workload *w = &p->workloads.list[i];
        const int status = w->kind == WORKLOAD_TRAIN    ? train_workload(b, w, &err)
                           : w->kind == WORKLOAD_DECODE ? decode_workload(b, w, &err)
                                                        : memory_workload(b, &err);
        if (status)
            code = print_error(&err);
    }
    return code;
}

int command_bench(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "[WORKLOAD…]",
        "What this machine could do, and what training reaches on it: its arithmetic peak and "
        "memory bandwidth; then, for each "
        "workload, the time of a step, its share of the peak, its memory, the time of each "
        "operation against that operation's "
        "own bound, and the rates of matrix products at the sizes of the model.\n\nWORKLOAD is "
        "MODEL or MODEL:BxT, a training "
        "step on B sequences of T tokens, where MODEL is one of char-0.8M, char-10.7M, gpt2-124m, "
        "tiny; or decode (gpt2-124m, "
        "one token at a time; decode:N: of N texts side by side); or memory (the peak memory of "
        "several). Without any: "
        "char-0.8M, gpt2-124m and decode, about a "
        "minute.\vdocs/benchmark.md says what each column means. Other programs disturb it: it "
        "says where it noticed them.",
        NULL,
        NULL,
        NULL};
    struct parsed p = {.bench = {.code = precisions[0], .recompute = RECOMPUTE_GELU}};
    argp_parse(&argp, argc, argv, 0, NULL, &p);
    return run_bench(&p);
}
