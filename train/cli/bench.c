/* bench.c: handgrad bench. */
#include "train/bench/bench.h"
#include "train/cli/command.h"
#include "train/cli/options.h"
#include "train/config/config_keys.h"
#include <sys/mman.h>

enum { ALL = 1000, PRECISION, RECOMPUTE, RUNS };

static const struct argp_option options[] = {
    {"all", ALL, NULL, 0, "Run every workload (gpt2-124m:1x16384 alone takes several minutes)", 0},
    {"precision", PRECISION, "TYPE", 0, "Precision of matrix products: f32 or bf16 (f32)", 0},
    {"recompute", RECOMPUTE, "WHAT", 0,
     "What the backward recomputes, as [train] recompute: none, gelu or block (gelu)", 0},
    {"runs", RUNS, "N", 0,
     "Runs of each measurement, after one that does not count (as many as fit into a few seconds)",
     0},
    {"json", 'j', NULL, 0, "Print one JSON object per line", 0},
    {0}};

struct parsed {
    struct bench bench;
    struct workloads workloads;
    struct config config; /* of which precision and recompute count */
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct parsed *p = state->input;
    struct error err;
    const char *option = key == PRECISION ? "--precision" : "--recompute";
    int status = 0;
    switch (key) {
    case ALL:
        status = workloads_add_set(&p->workloads, WORKLOADS_ALL, &err);
        break;
    case PRECISION:
    case RECOMPUTE:
        status =
            config_key_set(config_key_find("train", option + 2), &p->config, arg, option, &err);
        break;
    case RUNS:
        p->bench.runs = option_u64(state, "--runs", arg, 1, 999);
        break;
    case 'j':
        p->bench.json = true;
        break;
    case ARGP_KEY_ARG:
        status = workloads_add(&p->workloads, arg, &err);
        break;
    case ARGP_KEY_END:
        if (!p->workloads.count)
            status = workloads_add_set(&p->workloads, WORKLOADS_DEFAULT, &err);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    if (status)
        argp_error(state, "%s", err.text);
    return 0;
}

static int measure(struct bench *b, const struct workload *w)
{
    switch (w->kind) {
    case WORKLOAD_DECODE:
        return bench_child(b, w, "tokens", measure_decode);
    case WORKLOAD_MEMORY:
        return bench_child(b, w, "memory", measure_memory);
    default:
        return bench_child(b, w, "steps", measure_steps) ||
               bench_child(b, w, "operations", measure_operations) ||
               bench_child(b, w, "products", measure_products);
    }
}

int command_bench(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "[WORKLOAD…]",
        "Measures the arithmetic peak and the memory bandwidth of this machine, and what training "
        "reaches: for each workload the time of a step, its share of the peak, its memory, each "
        "operation against its own bound, and the rates of the model's matrix products.\n\n"
        "WORKLOAD is MODEL or MODEL:BxT, a training step on B sequences of T tokens, where MODEL "
        "is char-0.8M, char-10.7M, gpt2-124m or tiny; or decode or decode:N, gpt2-124m generating "
        "one token at a time of one or N texts; or memory, the peak memory of several workloads. "
        "Default: char-0.8M, gpt2-124m and decode, about a minute.\v"
        "docs/benchmark.md explains each column. A warning is printed if other programs disturb a "
        "measurement.",
        NULL,
        NULL,
        NULL};
    struct parsed p = {0};
    config_defaults(&p.config);
    argp_parse(&argp, argc, argv, 0, NULL, &p);
    p.bench.precision =
        p.config.train.precision == PRECISION_BF16 ? &bench_precision_bf16 : &bench_precision_f32;
    p.bench.recompute = (enum recompute)p.config.train.recompute;
    struct bench *b =
        mmap(NULL, sizeof *b, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (b == MAP_FAILED)
        return print_error(&(struct error){"out of memory"});
    *b = p.bench;
    if (bench_child(b, NULL, "peaks", measure_machine))
        return print_error(&b->err);
    int code = 0;
    for (size_t i = 0; i < p.workloads.count; i++)
        if (measure(b, &p.workloads.list[i])) /* the others are measured nevertheless */
            code = print_error(&b->err);
    return code;
}
