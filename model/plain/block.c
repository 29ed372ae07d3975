/* block.c: mid = x   + dropout(proj(attention(qkv(ln_1(x)))))
 *          out = mid + dropout(mlp(ln_2(mid)))
 */
#include "model/block.h"
#include "model/attention.h"
#include "model/layernorm.h"
#include "model/linear.h"
#include "model/mlp.h"
#include "model/residual.h"
#include <string.h>

void block_forward(struct block_activations *a, const struct block_scratch *s, const real *x,
                   const uint32_t *start, real *const *w, size_t B, size_t T,
                   const struct model_config *config, const struct dropout *d, uint32_t layer)
{
    const size_t N = B * T, C = config->n_embd, H = config->n_head;
    layernorm_forward(a->ln_1, a->ln_1_mean, a->ln_1_rstd, x, w[LN_1_WEIGHT], w[LN_1_BIAS], N, C);
    linear_forward(a->qkv, a->ln_1, w[C_ATTN_WEIGHT], w[C_ATTN_BIAS], N, C, 3 * C);
    attention_forward(a->att, a->lse, a->qkv, start, B, T, C, H, d, 4 * layer + DROP_ATTENTION);
    linear_forward(s->branch, a->att, w[ATTN_C_PROJ_WEIGHT], w[ATTN_C_PROJ_BIAS], N, C, C);
    residual_forward(a->mid, x, s->branch, N, T, C, d, 4 * layer + DROP_ATTENTION_OUTPUT);
    layernorm_forward(a->ln_2, a->ln_2_mean, a->ln_2_rstd, a->mid, w[LN_2_WEIGHT], w[LN_2_BIAS], N,
                      C);
    mlp_forward(s->branch, a->fc, a->act, a->ln_2, w[C_FC_WEIGHT], w[C_FC_BIAS],
                w[MLP_C_PROJ_WEIGHT], w[MLP_C_PROJ_BIAS], N, C, 4 * C, config->gelu);
    residual_forward(a->out, a->mid, s->branch, N, T, C, d, 4 * layer + DROP_MLP_OUTPUT);
}

/* --- backward --- */

/* Through a residual connection: dx from the gradient after it to the gradient before it, and
 * dbranch. */
static void split(real *dx, real *dbranch, real *before, size_t N, size_t T, size_t C,
                  const struct dropout *d, uint32_t site)
{
    memset(before, 0, N * C * sizeof *before);
    memset(dbranch, 0, N * C * sizeof *dbranch);
    residual_backward(before, dbranch, dx, N, T, C, d, site);
    memcpy(dx, before, N * C * sizeof *dx);
}

void block_backward(real *dx, real *const *dw, const struct block_scratch *s,
                    const struct block_activations *a, const real *x, const uint32_t *start,
                    real *const *w, size_t B, size_t T, const struct model_config *config,
                    const struct dropout *d, uint32_t layer)
{
    const size_t N = B * T, C = config->n_embd, H = config->n_head;
    real *dbranch = s->branch, *dln = s->dnorm, *datt = s->dnorm, *dqkv = s->dproj, *dfc = s->dproj;

    split(dx, dbranch, s->dnorm, N, T, C, d, 4 * layer + DROP_MLP_OUTPUT);
    memset(dln, 0, N * C * sizeof *dln);
    mlp_backward(dln, dw[C_FC_WEIGHT], dw[C_FC_BIAS], dw[MLP_C_PROJ_WEIGHT], dw[MLP_C_PROJ_BIAS],
                 dfc, s->dact, dbranch, a->fc, a->act, a->ln_2, w[C_FC_WEIGHT],
                 w[MLP_C_PROJ_WEIGHT], N, C, 4 * C, config->gelu);
    layernorm_backward(dx, dw[LN_2_WEIGHT], dw[LN_2_BIAS], dln, a->mid, a->ln_2_mean, a->ln_2_rstd,
                       w[LN_2_WEIGHT], N, C);

    split(dx, dbranch, s->dnorm, N, T, C, d, 4 * layer + DROP_ATTENTION_OUTPUT);
    memset(datt, 0, N * C * sizeof *datt);
    linear_backward(datt, dw[ATTN_C_PROJ_WEIGHT], dw[ATTN_C_PROJ_BIAS], dbranch, a->att,
                    w[ATTN_C_PROJ_WEIGHT], N, C, C);
    memset(dqkv, 0, N * 3 * C * sizeof *dqkv);
    attention_backward(dqkv, datt, a->qkv, a->att, a->lse, start, B, T, C, H, d,
                       4 * layer + DROP_ATTENTION);
    memset(dln, 0, N * C * sizeof *dln);
    linear_backward(dln, dw[C_ATTN_WEIGHT], dw[C_ATTN_BIAS], dqkv, a->ln_1, w[C_ATTN_WEIGHT], N, C,
                    3 * C);
    layernorm_backward(dx, dw[LN_1_WEIGHT], dw[LN_1_BIAS], dln, x, a->ln_1_mean, a->ln_1_rstd,
                       w[LN_1_WEIGHT], N, C);
}
