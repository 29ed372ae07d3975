/* steps.c: the time of a training step, and the memory that it needs. */
#include "train/bench/trainee.h"
#include <math.h>
#include <stdio.h>

static void print_steps(const struct bench *b, const struct timing *t, double n_parameters,
                        double peak)
{
    const struct workload *w = b->workload;
    const double tokens = w->B * w->T, flops = step_flops(&w->config, w->B, w->T),
                 rate = flops / t->median, bf16_peak = b->machine.bf16.flops,
                 memory = bench_peak_memory();
    const char *recompute = recompute_names[b->recompute];
    if (b->json) {
        json_print(report_object(
            b, "workload",
            FIELDS(TEXT("precision", b->precision->name), NUMBER("n_parameters", n_parameters),
                   NUMBER("tokens", tokens), TIMING(*t), NUMBER("tokens_per_s", tokens / t->median),
                   NUMBER("flops", flops), NUMBER("flops_per_s", rate),
                   NUMBER("float32_share", rate / peak),
                   NUMBER("bf16_share", bf16_peak > 0 ? rate / bf16_peak : NAN),
                   TEXT("recompute", recompute), NUMBER("peak_memory", memory))));
        return;
    }
    printf("\n%s in %s: %.1f M parameters, %.0f tokens a step\n", w->name, b->precision->name,
           n_parameters / 1e6, tokens);
    report_timing("step", t, true);
    printf("  tokens/s       %.0f\n", tokens / t->median);
    printf("  model FLOP/s   %.1f GFLOP/s: %.2f of the float32 peak", rate / 1e9, rate / peak);
    if (bf16_peak > 0)
        printf(", %.2f of the bf16 peak", rate / bf16_peak);
    printf("\n  peak memory    %.2f GB, recompute = %s\n", memory / 1e9, recompute);
}

int measure_steps(struct bench *b)
{
    const struct workload *w = b->workload;
    static const double budget = 6; /* seconds */
    struct trainee t;
    if (trainee_create(&t, b, w->B, w->T))
        return -1;
    const struct timing timing = time_runs(trainee_step, &t, b->runs, budget);
    const double before = b->machine.float32.flops, after = best_peak(float32_peak).flops,
                 peak = fmax(before, after);
    b->step = timing.median;
    warn_if_noisy(b, &timing);
    if (fabs(before - after) > 0.1 * peak)
        report_warning(b,
                       "the float32 peak was %.0f GFLOP/s before the steps and %.0f after them: "
                       "shares are of the larger",
                       before / 1e9, after / 1e9);
    print_steps(b, &timing, t.model.tensors->n_parameters, peak);
    trainee_destroy(&t);
    return 0;
}

/* Allocates for the whole batch, but takes a short step: it passes through all the code of a
 * step. */
int measure_memory(struct bench *b)
{
    const struct workload *w = b->workload;
    enum { SHORT = 64 };
    char title[80];
    struct trainee t;
    if (trainee_create(&t, b, w->B, w->T))
        return -1;
    t.B = 1;
    t.T = w->T < SHORT ? w->T : SHORT;
    trainee_step(&t);
    trainee_destroy(&t);
    const double tokens = w->B * w->T, memory = bench_peak_memory();
    const char *precision = b->precision->name, *recompute = recompute_names[b->recompute];
    snprintf(title, sizeof title, "\nmemory in %s, recompute = %s", precision, recompute);
    report_fields(b, "memory", title,
                  FIELDS(TEXT("precision", precision), TEXT("recompute", recompute),
                         {NULL, 0, w->name, "workload", -20, 0},
                         {"tokens", tokens, NULL, "tokens", 10, 0}, NUMBER("peak_memory", memory),
                         {NULL, memory / 1e9, NULL, "peak, GB", 12, 2}));
    return 0;
}
