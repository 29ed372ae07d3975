/* bench.c: handgrad bench. */
#include "train/bench/bench.h"
#include "train/cli/command.h"
#include "train/config/config_keys.h"
#include <sys/mman.h>

struct arguments {
    struct operand_list names;
    bool all, json;
    uint64_t runs;
    int precision, recompute;
};

static int list_workloads(struct workloads *w, const struct arguments *a, struct error *err)
{
    if (a->all && workloads_add_set(w, WORKLOADS_ALL, err))
        return -1;
    for (size_t i = 0; i < a->names.n; i++)
        if (workloads_add(w, a->names.items[i], err))
            return -1;
    return w->count ? 0 : workloads_add_set(w, WORKLOADS_DEFAULT, err);
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

int command_bench(int argc, char **argv, struct error *err)
{
    struct arguments a = {.precision = PRECISION_F32, .recompute = RECOMPUTE_GELU};
    const struct option_spec options[] = {
        {"WORKLOAD", .operands = &a.names, .optional = true},
        {"all", 0, NULL, "Run every workload (gpt2-124m:1x16384 alone takes several minutes)",
         .flag = &a.all},
        {"precision", 0, "TYPE", "Precision of matrix products: f32 or bf16 (f32)",
         .choice = &a.precision, .choices = config_key_find("train", "precision")->enums},
        {"recompute", 0, "WHAT",
         "What the backward recomputes, as [train] recompute: none, gelu or block (gelu)",
         .choice = &a.recompute, .choices = recompute_names},
        {"runs", 0, "N",
         "Runs of each measurement, after a warm-up run (as many as fit into a few "
         "seconds)",
         .count = &a.runs, .min = 1, .max = 999},
        {"json", 'j', NULL, "Print one JSON object per line", .flag = &a.json},
        {0}};
    parse_command_line(
        argc, argv, options, "[WORKLOAD…]",
        "Measures the arithmetic peak and the memory bandwidth of this machine, and what training "
        "reaches: for each workload the time of a step, its share of the peak, its memory, each "
        "operation against its own bound, and the rates of the model's matrix products.\n\n"
        "WORKLOAD is MODEL or MODEL:BxT, a training step on B sequences of T tokens, where MODEL "
        "is char-0.8M, char-10.7M, gpt2-124m or tiny; or decode or decode:N, gpt2-124m generating "
        "one or N texts, one token at a time; or memory, the peak memory of several workloads. "
        "Default: char-0.8M, gpt2-124m and decode, about a minute.\v"
        "docs/benchmark.md explains each column. A warning is printed if other programs disturb a "
        "measurement.");
    struct workloads workloads = {.count = 0};
    if (list_workloads(&workloads, &a, err))
        return WRONG_USAGE;
    struct bench *b =
        mmap(NULL, sizeof *b, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (b == MAP_FAILED)
        return fail(err, "out of memory");
    b->precision = a.precision == PRECISION_BF16 ? &bench_precision_bf16 : &bench_precision_f32;
    b->recompute = (enum recompute)a.recompute;
    b->runs = a.runs;
    b->json = a.json;
    if (bench_child(b, NULL, "peaks", measure_machine))
        return print_error(&b->err);
    int code = 0;
    for (size_t i = 0; i < workloads.count; i++)
        if (measure(b, &workloads.list[i])) /* the others are measured nevertheless */
            code = print_error(&b->err);
    return code;
}
