/* step.c: how the time of a training step divides. Runs whole steps of GPT-2 124M on random tokens, then each operation alone on
 * the same shapes, and prints medians, shares of the step, and the share of the machine's own product rate, measured in the same
 * run.
 *
 *   build/tests/bench/step [n_layer n_head n_embd vocab_size B T]        (12 12 768 50257 4 64)
 */
#include "../../model/attention.h"
#include "../../model/embedding.h"
#include "../../model/gelu.h"
#include "../../model/gpt.h"
#include "../../model/layernorm.h"
#include "../../model/linear.h"
#include "../../model/loss.h"
#include "../../model/residual.h"
#include "../../model/zero.h"
#include "../../optim/adamw.h"
#include "../../optim/clip.h"
#include "../../train/log.h"
#include "../../train/peak.h"
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS = 9 };

static struct gpt g;
static uint32_t *inputs, *targets;
static size_t B, T, N, C, V, L;
static real *m, *v, *wide, *wide2; /* (N,4C), where the model works on fewer rows at a time */
static double step_time, listed;

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median time of one call, after one that is not counted. */
static double median_time(void (*work)(void))
{
    double times[RUNS];
    work();
    for (int i = 0; i < RUNS; i++) {
        const double start = seconds();
        work();
        times[i] = seconds() - start;
    }
    qsort(times, RUNS, sizeof *times, by_size);
    return times[RUNS / 2];
}

static void step(void)
{
    static uint64_t t;
    const struct adamw o = {0.9, 0.95, 1e-8, 0.1};
    zero(g.grads, g.tensors->total);
    gpt_loss_and_grads(&g, inputs, targets, B, T, 1, NULL);
    const double norm = gradient_norm(g.grads, g.tensors);
    adamw_update(g.params, m, v, g.grads, clip_factor(norm, 1), g.tensors, &o, 1e-4, ++t);
}

/* The operations, each as often as a step has it; layer 0's arrays stand for all layers'. */
#define A  (g.blocks[0])
#define W  (g.w[0])
#define DW (g.dw[0])
static void linears_forward(void)
{
    linear_forward(A.qkv, A.ln_1, W[C_ATTN_WEIGHT], W[C_ATTN_BIAS], N, C, 3 * C);
    linear_forward(g.scratch.branch, A.att, W[ATTN_C_PROJ_WEIGHT], W[ATTN_C_PROJ_BIAS], N, C, C);
    linear_forward(A.fc, A.ln_2, W[C_FC_WEIGHT], W[C_FC_BIAS], N, C, 4 * C);
    linear_forward(g.scratch.branch, A.act, W[MLP_C_PROJ_WEIGHT], W[MLP_C_PROJ_BIAS], N, 4 * C, C);
}
static void linears_backward(void)
{
    linear_backward(wide, DW[MLP_C_PROJ_WEIGHT], DW[MLP_C_PROJ_BIAS], g.dstream, A.act, W[MLP_C_PROJ_WEIGHT], N, 4 * C, C);
    linear_backward(g.scratch.narrow, DW[C_FC_WEIGHT], DW[C_FC_BIAS], wide, A.ln_2, W[C_FC_WEIGHT], N, C, 4 * C);
    linear_backward(g.scratch.narrow, DW[ATTN_C_PROJ_WEIGHT], DW[ATTN_C_PROJ_BIAS], g.dstream, A.att, W[ATTN_C_PROJ_WEIGHT], N, C,
                    C);
    linear_backward(g.scratch.narrow, DW[C_ATTN_WEIGHT], DW[C_ATTN_BIAS], wide, A.ln_1, W[C_ATTN_WEIGHT], N, C, 3 * C);
}
static void attentions(void)
{
    const size_t H = g.tensors->config.n_head;
    attention_forward(A.att, A.lse, A.qkv, B, T, C, H, NULL, 0);
    attention_backward(wide, g.scratch.narrow, A.qkv, A.att, A.lse, B, T, C, H, NULL, 0);
}
static void gelus(void)
{
    gelu_forward(A.act, A.fc, N * 4 * C, g.tensors->config.gelu);
    gelu_backward(wide, wide2, A.fc, N * 4 * C, g.tensors->config.gelu);
}
static void layernorms(void)
{
    for (int i = 0; i < 2; i++) {
        layernorm_forward(A.ln_1, A.ln_1_mean, A.ln_1_rstd, g.embedded, W[LN_1_WEIGHT], W[LN_1_BIAS], N, C);
        layernorm_backward(g.dstream, DW[LN_1_WEIGHT], DW[LN_1_BIAS], g.scratch.narrow, g.embedded, A.ln_1_mean, A.ln_1_rstd,
                           W[LN_1_WEIGHT], N, C);
    }
}
static void residuals(void)
{
    for (int i = 0; i < 2; i++)
        residual_forward(A.mid, g.embedded, g.scratch.branch, N, T, C, NULL, 0);
}
static void zeros(void) /* of a block's backward */
{
    for (int i = 0; i < 3; i++)
        zero(g.scratch.narrow, N * C);
    zero(wide, N * 4 * C);
    zero(wide2, N * 4 * C);
    zero(wide, N * 3 * C);
}
static void losses(void)
{
    loss_backward(g.dln_f, DW[WTE], g.losses, g.logits, g.dlosses, g.ln_f, W[WTE], targets, N, C, V,
                  g.tensors->config.padded_vocab_size);
}
static void embeddings(void)
{
    embedding_forward(g.embedded, inputs, W[WTE], W[WPE], 0, B, T, C);
    embedding_backward(DW[WTE], DW[WPE], g.dstream, inputs, B, T, C);
}
static void zero_grads(void)
{
    zero(g.grads, g.tensors->total);
}
static void norm(void)
{
    gradient_norm(g.grads, g.tensors);
}
static void update(void)
{
    const struct adamw o = {0.9, 0.95, 1e-8, 0.1};
    adamw_update(g.params, m, v, g.grads, 1, g.tensors, &o, 1e-4, 1000);
}

static void row(const char *name, double time, double flops, double bytes, double peak)
{
    listed += time;
    printf("%-28s %9.2f ms  %5.1f%%", name, 1e3 * time, 100 * time / step_time);
    if (flops > 0)
        printf("  %6.1f GFLOP/s, %.2f of the product rate", flops / time / 1e9, flops / time / peak);
    else
        printf("  %6.1f GB/s", bytes / time / 1e9);
    printf("\n");
}

static void table(double peak)
{
    const double n = (double)N, c = (double)C, l = (double)L, w = sizeof(real), P = (double)g.tensors->total * w;
    row("linear, forward", l * median_time(linears_forward), l * 2 * n * 12 * c * c, 0, peak);
    row("linear, backward", l * median_time(linears_backward), l * 4 * n * 12 * c * c, 0, peak);
    row("logits and loss, both", median_time(losses), 6 * n * c * (double)V, 0, peak);
    row("attention, both", l * median_time(attentions), l * 7 * n * c * (double)(T + 1), 0, peak);
    row("gelu, both", l * median_time(gelus), 0, l * n * 4 * c * w * 6, peak);
    row("layernorm, both", l * median_time(layernorms), 0, l * 2 * n * c * w * 8, peak);
    row("residual, forward", l * median_time(residuals), 0, l * 2 * n * c * w * 3, peak);
    row("embedding, both", median_time(embeddings), 0, n * c * w * 8, peak);
    row("zeroing of a backward's", l * median_time(zeros), 0, l * n * 14 * c * w, peak);
    row("zeroing of gradients", median_time(zero_grads), 0, P, peak);
    row("gradient norm", median_time(norm), 0, P, peak);
    row("AdamW", median_time(update), 0, 7 * P, peak);
    printf("%-28s %9.2f ms  %5.1f%%\n", "all of these", 1e3 * listed, 100 * listed / step_time);
}

int main(int argc, char **argv)
{
    size_t s[6] = {12, 12, 768, 50257, 4, 64};
    for (int i = 1; i < argc && i <= 6; i++)
        s[i - 1] = strtoul(argv[i], NULL, 10);
    struct model_config config = {.n_layer = s[0],
                                  .n_head = s[1],
                                  .n_embd = s[2],
                                  .block_size = s[5],
                                  .vocab_size = s[3],
                                  .padded_vocab_size = s[3],
                                  .bias = true,
                                  .gelu = GELU_TANH};
    B = s[4], T = s[5], N = B * T, C = s[2], V = s[3], L = s[0];
    if (gpt_create(&g, tensors_create(&config), N, GPT_TRAIN))
        return 1;
    gpt_init(&g, 1);
    struct arena moments = {0};
    for (int pass = 0; pass < 2; pass++) {
        if (pass && arena_allocate(&moments))
            return 1;
        m = arena_take(&moments, g.tensors->total, sizeof *m);
        v = arena_take(&moments, g.tensors->total, sizeof *v);
        wide = arena_take(&moments, N * 4 * C, sizeof *wide);
        wide2 = arena_take(&moments, N * 4 * C, sizeof *wide2);
    }
    inputs = malloc(N * sizeof *inputs);
    targets = malloc(N * sizeof *targets);
    for (size_t i = 0; i < N; i++) {
        inputs[i] = (uint32_t)(i * 2654435761u % V);
        targets[i] = (uint32_t)((i + 1) * 2654435761u % V);
    }
    const double before = product_rate();
    step_time = median_time(step);
    const double after = product_rate(), peak = before > after ? before : after, flops = step_flops(&config, B, T);
    printf("%.1f M parameters, %zu x %zu tokens, %d threads; product rate %.1f GFLOP/s (%.1f before, %.1f after)\n",
           (double)g.tensors->n_parameters / 1e6, B, T, omp_get_max_threads(), peak / 1e9, before / 1e9, after / 1e9);
    printf("%-28s %9.2f ms  100.0%%  %6.1f GFLOP/s, %.2f of the product rate; %.0f tokens/s\n", "a step", 1e3 * step_time,
           flops / step_time / 1e9, flops / step_time / peak, (double)N / step_time);
    table(peak);
    return 0;
}
