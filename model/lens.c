/* lens.c: see lens.h.
 *
 * Attention never stores its weights (attention.c). They follow from what its forward saves, for
 * keys k <= q:
 *
 *     w_qk = exp(s_qk - lse_q),  s_qk = q . k / sqrt(D)
 *
 * The gradient is an ordinary backward whose upstream gradient is one for the loss of token t and
 * zero for the others.
 */
#include "model/lens.h"
#include "model/gemm/gemm.h"
#include "model/layernorm.h"
#include "model/real.h"
#include "model/zero.h"
#include <string.h>

static real score(const real *query, const real *key, size_t D)
{
    acc sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t c = 0; c < D; c++)
        sum += query[c] * key[c];
    return (real)(sum / sqrt((double)D));
}

void lens_attention(real *weights, const struct gpt *g, size_t T, size_t layer)
{
    const struct model_config *config = &g->tensors->config;
    const size_t C = config->n_embd, Q = model_dim(config, 'Q'), H = config->n_head, D = C / H;
    const real *qkv = g->blocks[layer].qkv, *lse = g->blocks[layer].lse;
    ASSERT(g->use != GPT_TRAIN_RECOMPUTE_BLOCK && T <= g->max_rows && layer < config->n_layer);
#pragma omp parallel for
    for (size_t row = 0; row < H * T; row++) {
        const size_t h = row / T, q = row % T;
        real *w = weights + row * T;
        memset(w, 0, T * sizeof *w);
        for (size_t k = 0; k <= q; k++)
            w[k] = real_exp(score(qkv + q * Q + h * D, qkv + k * Q + C + h * D, D) - lse[row]);
    }
}

void lens_logits(real *logits, struct gpt *g, size_t T, size_t depth)
{
    const struct model_config *c = &g->tensors->config;
    const size_t C = c->n_embd, V = c->vocab_size;
    const real *stream = depth ? g->blocks[depth - 1].out : g->embedded;
    ASSERT(g->use != GPT_TRAIN_RECOMPUTE_BLOCK && T <= g->max_rows && depth <= c->n_layer);
    layernorm_forward(g->ln_f, g->ln_f_mean, g->ln_f_rstd, stream, g->w[0][LN_F_WEIGHT],
                      g->w[0][LN_F_BIAS], T, C);
    gemm(N_, T_, T, V, C, 1, g->ln_f, C, g->w[0][WTE], C, 0, logits, V);
}

void lens_gradient(real *gradient, struct gpt *g, const struct batch *batch, size_t t)
{
    const size_t T = batch->block_size;
    ASSERT(batch->rows == 1 && t < T);
    zero(g->dlosses, T);
    g->dlosses[t] = 1;
    gpt_backward(g, batch, NULL);
    memcpy(gradient, g->dstream, T * g->tensors->config.n_embd * sizeof *gradient);
}
