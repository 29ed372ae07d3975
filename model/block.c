/* block.c: the block of GPT-2 (Radford et al. 2019):
 *
 *     mid = x   + dropout(proj(attention(qkv(ln_1(x)))))
 *     out = mid + dropout(mlp(ln_2(mid)))
 *
 * The backward reads the forward from its last line to its first. A residual line y = x + branch hands dy on to x as it is, so
 * one array, dx, is the gradient of the stream at every point; what comes back through a branch's LayerNorm is added to it.
 *
 * In more steps: docs/derivations.md#block
 */
#include "model/block.h"
#include "model/attention.h"
#include "model/gelu.h"
#include "model/layernorm.h"
#include "model/linear.h"
#include "model/mlp.h"
#include "model/real.h"
#include "model/residual.h"
#include "model/zero.h"

void block_before_attention(struct block_activations *a, const real *x, real *const *w, size_t N,
                            size_t C)
{
    layernorm_forward(a->ln_1, a->ln_1_mean, a->ln_1_rstd, x, w[LN_1_WEIGHT], w[LN_1_BIAS], N, C);
    linear_forward(a->qkv, a->ln_1, w[C_ATTN_WEIGHT], w[C_ATTN_BIAS], N, C, 3 * C);
}

/* The residual stream after attention, and its LayerNorm. */
static void join_attention(struct block_activations *a, const struct block_scratch *s,
                           const real *x, real *const *w, size_t N, size_t T, size_t C,
                           const struct dropout *d, uint32_t layer)
{
    linear_forward(s->branch, a->att, w[ATTN_C_PROJ_WEIGHT], w[ATTN_C_PROJ_BIAS], N, C, C);
    residual_forward(a->mid, x, s->branch, N, T, C, d, 4 * layer + DROP_ATTENTION_OUTPUT);
    layernorm_forward(a->ln_2, a->ln_2_mean, a->ln_2_rstd, a->mid, w[LN_2_WEIGHT], w[LN_2_BIAS], N,
                      C);
}

void block_after_attention(struct block_activations *a, const struct block_scratch *s,
                           const real *x, real *const *w, size_t N, size_t T,
                           const struct model_config *config, const struct dropout *d,
                           uint32_t layer)
{
    const size_t C = config->n_embd, rows = block_mlp_rows(N);
    join_attention(a, s, x, w, N, T, C, d, layer);
    for (size_t n = 0; n < N; n += rows)
        mlp_forward(s->branch + n * C, a->fc + n * 4 * C, a->act ? a->act + n * 4 * C : s->act,
                    a->ln_2 + n * C, w[C_FC_WEIGHT], w[C_FC_BIAS], w[MLP_C_PROJ_WEIGHT],
                    w[MLP_C_PROJ_BIAS], N - n < rows ? N - n : rows, C, config->gelu);
    residual_forward(a->out, a->mid, s->branch, N, T, C, d, 4 * layer + DROP_MLP_OUTPUT);
}

void block_forward(struct block_activations *a, const struct block_scratch *s, const real *x,
                   const uint32_t *start, real *const *w, size_t B, size_t T,
                   const struct model_config *config, const struct dropout *d, uint32_t layer)
{
    block_before_attention(a, x, w, B * T, config->n_embd);
    attention_forward(a->att, a->lse, a->qkv, start, B, T, config->n_embd, config->n_head, d,
                      4 * layer + DROP_ATTENTION);
    block_after_attention(a, s, x, w, B * T, T, config, d, layer);
}

void block_recompute(struct block_activations *a, const struct block_scratch *s, const real *x,
                     const uint32_t *start, real *const *w, size_t B, size_t T,
                     const struct model_config *config, const struct dropout *d, uint32_t layer)
{
    const size_t C = config->n_embd, N = B * T, rows = block_mlp_rows(N);
    ASSERT(!a->act);
    block_before_attention(a, x, w, N, C);
    attention_forward(a->att, a->lse, a->qkv, start, B, T, C, config->n_head, d,
                      4 * layer + DROP_ATTENTION);
    join_attention(a, s, x, w, N, T, C, d, layer);
    for (size_t n = 0; n < N; n += rows) /* as the forward has cut it */
        linear_forward(a->fc + n * 4 * C, a->ln_2 + n * C, w[C_FC_WEIGHT], w[C_FC_BIAS],
                       N - n < rows ? N - n : rows, C, 4 * C);
}

/* The gradient of a branch for dy of its residual line: dy itself, or dy through the dropout mask. */
static const real *branch_gradient(real *dbranch, const real *dy, size_t N, size_t T, size_t C,
                                   const struct dropout *d, uint32_t site)
{
    if (!dropout_active(d))
        return dy;
    zero(dbranch, N * C);
    residual_backward(NULL, dbranch, dy, N, T, C, d, site);
    return dbranch;
}

static void mlp_branch_backward(real *dx, real *const *dw, const struct block_scratch *s,
                                const struct block_activations *a, real *const *w, size_t N,
                                size_t T, const struct model_config *config,
                                const struct dropout *d, uint32_t layer)
{
    const size_t C = config->n_embd, rows = block_mlp_rows(N);
    const real *dbranch = branch_gradient(s->branch, dx, N, T, C, d, 4 * layer + DROP_MLP_OUTPUT);
    layernorm_recompute(a->ln_2, a->ln_2_mean, a->ln_2_rstd, a->mid, w[LN_2_WEIGHT], w[LN_2_BIAS],
                        N, C);
    zero(s->narrow, N * C);
    for (size_t n = 0; n < N; n += rows) {
        const size_t now = N - n < rows ? N - n : rows;
        const real *fc = a->fc + n * 4 * C, *act = a->act ? a->act + n * 4 * C : s->act;
        if (!a->act)
            gelu_forward(s->act, fc, now * 4 * C, config->gelu);
        mlp_backward(s->narrow + n * C, dw[C_FC_WEIGHT], dw[C_FC_BIAS], dw[MLP_C_PROJ_WEIGHT],
                     dw[MLP_C_PROJ_BIAS], s->wide, s->wide2, dbranch + n * C, fc, act,
                     a->ln_2 + n * C, w[C_FC_WEIGHT], w[MLP_C_PROJ_WEIGHT], now, C, config->gelu);
    }
    layernorm_backward(dx, dw[LN_2_WEIGHT], dw[LN_2_BIAS], s->narrow, a->mid, a->ln_2_mean,
                       a->ln_2_rstd, w[LN_2_WEIGHT], N, C);
}

static void attention_branch_backward(real *dx, real *const *dw, const struct block_scratch *s,
                                      const struct block_activations *a, const real *x,
                                      const uint32_t *start, real *const *w, size_t B, size_t T,
                                      const struct model_config *config, const struct dropout *d,
                                      uint32_t layer)
{
    const size_t C = config->n_embd, N = B * T;
    const real *dbranch =
        branch_gradient(s->branch, dx, N, T, C, d, 4 * layer + DROP_ATTENTION_OUTPUT);
    real *datt = s->narrow, *dqkv = s->wide, *dln = s->narrow;
    linear_backward_set(datt, dw[ATTN_C_PROJ_WEIGHT], dw[ATTN_C_PROJ_BIAS], dbranch, a->att,
                        w[ATTN_C_PROJ_WEIGHT], N, C, C);
    attention_backward_set(dqkv, datt, a->qkv, a->att, a->lse, start, B, T, C, config->n_head, d,
                           4 * layer + DROP_ATTENTION);
    layernorm_recompute(a->ln_1, a->ln_1_mean, a->ln_1_rstd, x, w[LN_1_WEIGHT], w[LN_1_BIAS], N, C);
    linear_backward_set(dln, dw[C_ATTN_WEIGHT], dw[C_ATTN_BIAS], dqkv, a->ln_1, w[C_ATTN_WEIGHT], N,
                        C, 3 * C);
    layernorm_backward(dx, dw[LN_1_WEIGHT], dw[LN_1_BIAS], dln, x, a->ln_1_mean, a->ln_1_rstd,
                       w[LN_1_WEIGHT], N, C);
}

void block_backward(real *dx, real *const *dw, const struct block_scratch *s,
                    const struct block_activations *a, const real *x, const uint32_t *start,
                    real *const *w, size_t B, size_t T, const struct model_config *config,
                    const struct dropout *d, uint32_t layer)
{
    mlp_branch_backward(dx, dw, s, a, w, B * T, T, config, d, layer);
    attention_branch_backward(dx, dw, s, a, x, start, w, B, T, config, d, layer);
}
