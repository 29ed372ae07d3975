/* block.c: the block of GPT-2 (Radford et al. 2019):
 *
 *     mid = x   + dropout(proj(attention(qkv(ln_1(x)))))
 *     out = mid + dropout(mlp(ln_2(mid)))
 *
 * The backward processes these operations from last to first. A residual connection y = x + branch
 * passes dy on to x unchanged, so one array, dx, is the gradient of the stream at every point; the
 * gradient that comes back through a branch's LayerNorm is added to it.
 *
 * Step by step: docs/derivations.md#block
 */
#include "model/block.h"
#include "base/minmax.h"
#include "model/attention.h"
#include "model/layernorm.h"
#include "model/linear.h"
#include "model/mlp.h"
#include "model/real.h"
#include "model/residual.h"
#include "model/zero.h"

/* Elements of an array of this shape, for N rows. */
static size_t size_of(const char *shape, const struct model_config *c, size_t N)
{
    size_t size = N;
    for (const char *s = shape; *s; s++)
        if (*s != ' ' && *s != 'N' && __builtin_mul_overflow(size, model_dim(c, *s), &size))
            return SIZE_MAX;
    return size;
}

void block_take_activations(struct block_activations *a, struct arena *m,
                            const struct model_config *c, size_t N)
{
#define ACTIVATION(name, shape) a->name = arena_take(m, size_of(shape, c, N), sizeof(real));
#define PROVIDED(name, shape)
#include "model/block_parts.def"
}

void block_before_attention(struct block_activations *a, const real *x, real *const *w, size_t N,
                            const struct model_config *c)
{
    layernorm_forward(a->ln_1, a->ln_1_mean, a->ln_1_rstd, x, w[LN_1_WEIGHT], w[LN_1_BIAS], N,
                      c->n_embd);
    linear_forward(a->qkv, a->ln_1, w[C_ATTN_WEIGHT], w[C_ATTN_BIAS], N, c->n_embd,
                   model_dim(c, 'Q'));
}

/* The residual stream after attention, and its LayerNorm. */
static void add_attention(struct block_activations *a, const struct block_scratch *s, const real *x,
                          real *const *w, size_t N, size_t T, const struct model_config *c,
                          const struct dropout *d, uint32_t layer)
{
    const size_t C = c->n_embd;
    linear_forward(s->branch, a->att, w[ATTN_C_PROJ_WEIGHT], w[ATTN_C_PROJ_BIAS], N,
                   model_dim(c, 'A'), C);
    residual_forward(a->mid, x, s->branch, N, T, C, d, 4 * layer + DROP_ATTENTION_OUTPUT);
    layernorm_forward(a->ln_2, a->ln_2_mean, a->ln_2_rstd, a->mid, w[LN_2_WEIGHT], w[LN_2_BIAS], N,
                      C);
}

void block_after_attention(struct block_activations *a, const struct block_scratch *s,
                           const real *x, real *const *w, size_t N, size_t T,
                           const struct model_config *c, const struct dropout *d, uint32_t layer)
{
    const size_t C = c->n_embd, F = model_dim(c, 'F'), rows = block_mlp_rows(N);
    add_attention(a, s, x, w, N, T, c, d, layer);
    for (size_t n = 0; n < N; n += rows)
        mlp_forward(s->branch + n * C, a->fc + n * F, a->act ? a->act + n * F : s->act,
                    a->ln_2 + n * C, w[C_FC_WEIGHT], w[C_FC_BIAS], w[MLP_C_PROJ_WEIGHT],
                    w[MLP_C_PROJ_BIAS], size_min(rows, N - n), C, F, c->gelu);
    residual_forward(a->out, a->mid, s->branch, N, T, C, d, 4 * layer + DROP_MLP_OUTPUT);
}

void block_forward(struct block_activations *a, const struct block_scratch *s, const real *x,
                   const uint32_t *start, real *const *w, size_t B, size_t T,
                   const struct model_config *c, const struct dropout *d, uint32_t layer)
{
    block_before_attention(a, x, w, B * T, c);
    attention_forward(a->att, a->lse, a->qkv, start, B, T, c->n_embd, c->n_head, d,
                      4 * layer + DROP_ATTENTION);
    block_after_attention(a, s, x, w, B * T, T, c, d, layer);
}

void block_recompute(struct block_activations *a, const struct block_scratch *s, const real *x,
                     const uint32_t *start, real *const *w, size_t B, size_t T,
                     const struct model_config *c, const struct dropout *d, uint32_t layer)
{
    const size_t C = c->n_embd, F = model_dim(c, 'F'), N = B * T, rows = block_mlp_rows(N);
    ASSERT(!a->act);
    block_before_attention(a, x, w, N, c);
    attention_forward(a->att, a->lse, a->qkv, start, B, T, C, c->n_head, d,
                      4 * layer + DROP_ATTENTION);
    add_attention(a, s, x, w, N, T, c, d, layer);
    for (size_t n = 0; n < N; n += rows) /* in the pieces of the forward, for the same bits */
        linear_forward(a->fc + n * F, a->ln_2 + n * C, w[C_FC_WEIGHT], w[C_FC_BIAS],
                       size_min(rows, N - n), C, F);
}

/* The gradient of a branch for dy of its residual connection: dy itself, or dy through the dropout
 * mask, which is written to dbranch. */
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
                                size_t T, const struct model_config *c, const struct dropout *d,
                                uint32_t layer)
{
    const size_t C = c->n_embd, F = model_dim(c, 'F'), rows = block_mlp_rows(N);
    const real *dbranch = branch_gradient(s->branch, dx, N, T, C, d, 4 * layer + DROP_MLP_OUTPUT);
    layernorm_recompute(a->ln_2, a->ln_2_mean, a->ln_2_rstd, a->mid, w[LN_2_WEIGHT], w[LN_2_BIAS],
                        N, C);
    zero(s->dnorm, N * C);
    for (size_t n = 0; n < N; n += rows) {
        const size_t now = size_min(rows, N - n);
        const real *fc = a->fc + n * F, *act = a->act ? a->act + n * F : s->act;
        if (!a->act)
            mlp_activate(s->act, fc, now, F, c->gelu);
        mlp_backward(s->dnorm + n * C, dw[C_FC_WEIGHT], dw[C_FC_BIAS], dw[MLP_C_PROJ_WEIGHT],
                     dw[MLP_C_PROJ_BIAS], s->dproj, s->dact, dbranch + n * C, fc, act,
                     a->ln_2 + n * C, w[C_FC_WEIGHT], w[MLP_C_PROJ_WEIGHT], now, C, F, c->gelu);
    }
    layernorm_backward(dx, dw[LN_2_WEIGHT], dw[LN_2_BIAS], s->dnorm, a->mid, a->ln_2_mean,
                       a->ln_2_rstd, w[LN_2_WEIGHT], N, C);
}

static void attention_branch_backward(real *dx, real *const *dw, const struct block_scratch *s,
                                      const struct block_activations *a, const real *x,
                                      const uint32_t *start, real *const *w, size_t B, size_t T,
                                      const struct model_config *c, const struct dropout *d,
                                      uint32_t layer)
{
    const size_t C = c->n_embd, N = B * T;
    const real *dbranch =
        branch_gradient(s->branch, dx, N, T, C, d, 4 * layer + DROP_ATTENTION_OUTPUT);
    real *datt = s->dnorm, *dqkv = s->dproj, *dln = s->dnorm; /* datt is free when dln is written */
    linear_backward_set(datt, dw[ATTN_C_PROJ_WEIGHT], dw[ATTN_C_PROJ_BIAS], dbranch, a->att,
                        w[ATTN_C_PROJ_WEIGHT], N, model_dim(c, 'A'), C);
    attention_backward_set(dqkv, datt, a->qkv, a->att, a->lse, start, B, T, C, c->n_head, d,
                           4 * layer + DROP_ATTENTION);
    layernorm_recompute(a->ln_1, a->ln_1_mean, a->ln_1_rstd, x, w[LN_1_WEIGHT], w[LN_1_BIAS], N, C);
    linear_backward_set(dln, dw[C_ATTN_WEIGHT], dw[C_ATTN_BIAS], dqkv, a->ln_1, w[C_ATTN_WEIGHT], N,
                        C, model_dim(c, 'Q'));
    layernorm_backward(dx, dw[LN_1_WEIGHT], dw[LN_1_BIAS], dln, x, a->ln_1_mean, a->ln_1_rstd,
                       w[LN_1_WEIGHT], N, C);
}

void block_backward(real *dx, real *const *dw, const struct block_scratch *s,
                    const struct block_activations *a, const real *x, const uint32_t *start,
                    real *const *w, size_t B, size_t T, const struct model_config *c,
                    const struct dropout *d, uint32_t layer)
{
    mlp_branch_backward(dx, dw, s, a, w, B * T, T, c, d, layer);
    attention_branch_backward(dx, dw, s, a, x, start, w, B, T, c, d, layer);
}
