/* handgrad_op.h: for a forward or backward of your own, to be checked and diagnosed by handgrad:
 *
 *     handgrad gradcheck --template layernorm -o my.c        a forward, and a backward to fill in
 *     cc -O2 -shared -fPIC my.c -o my.so -lm
 *     handgrad gradcheck --diagnose layernorm ./my.so        right, or which mistake it is
 *
 * A file defines one of the pairs below, or half of one. Arrays are row-major and do not overlap; shapes stand above each pair. A
 * forward writes its outputs and what it saves (the arguments before `x`). A backward ADDS into the gradients of its inputs and
 * parameters, and may only read what it is given: gradients of outputs, saved values, inputs, parameters. A bias may be NULL, and
 * its gradient with it. All of this is the contract of handgrad's own operations: see model/ and docs/derivations.md.
 */
#ifndef HANDGRAD_OP_H
#define HANDGRAD_OP_H

#include <stddef.h>
#include <stdint.h>

/* The guards are those of handgrad's own headers, which declare the same. */
#ifndef REAL_H
typedef double real;
#endif

#ifndef TENSORS_H
enum gelu_kind { GELU_TANH, GELU_ERF };
#endif

#ifndef DROPOUT_H
struct dropout {
    double p;           /* probability of a zero; 0: no dropout */
    uint64_t seed;      /* of the random bits */
    uint64_t step;      /* of the optimiser */
    uint64_t first_row; /* sequences before the first of x */
};

/* Which mask of a layer: site is 4 layer + one of these. */
enum dropout_site { DROP_EMBEDDING, DROP_ATTENTION, DROP_ATTENTION_OUTPUT, DROP_MLP_OUTPUT };

/* mask (n): 0 or 1/(1-p), for columns [column, column + n) of a row; column is a multiple of 4. The same address gives the same
 * mask. handgrad sets the pointer when it loads the file. */
__attribute__((weak)) void (*handgrad_dropout_mask)(real *mask, const struct dropout *d,
                                                    uint32_t site, uint64_t row, size_t column,
                                                    size_t n);
#define dropout_mask handgrad_dropout_mask
#endif

/* x (B,T,C) = wte[ids] + wpe[first + t]; ids (B,T), wte (V,C), wpe (T,C). */
void embedding_forward(real *x, const uint32_t *ids, const real *wte, const real *wpe, size_t first,
                       size_t B, size_t T, size_t C);
void embedding_backward(real *dwte, real *dwpe, const real *dx, const uint32_t *ids, size_t B,
                        size_t T, size_t C);

/* y (N,O) = x (N,I) w (I,O) + bias (O). */
void linear_forward(real *y, const real *x, const real *w, const real *bias, size_t N, size_t I,
                    size_t O);
void linear_backward(real *dx, real *dw, real *dbias, const real *dy, const real *x, const real *w,
                     size_t N, size_t I, size_t O);

/* y (N,C) = gain (C) (x - mean) rstd + bias (C), with rstd = 1 / sqrt(variance + 1e-5); saves mean (N) and rstd (N). */
void layernorm_forward(real *y, real *mean, real *rstd, const real *x, const real *gain,
                       const real *bias, size_t N, size_t C);
void layernorm_backward(real *dx, real *dgain, real *dbias, const real *dy, const real *x,
                        const real *mean, const real *rstd, const real *gain, size_t N, size_t C);

/* y (n) = x Phi(x), or its tanh approximation. Diagnosed as gelu_tanh and gelu_erf. */
void gelu_forward(real *y, const real *x, size_t n, enum gelu_kind kind);
void gelu_backward(real *dx, const real *dy, const real *x, size_t n, enum gelu_kind kind);

/* p (N,C) = softmax of each row of x (N,C). */
void softmax_forward(real *p, const real *x, size_t N, size_t C);
void softmax_backward(real *dx, const real *dp, const real *p, size_t N, size_t C);

/* y (N,C) = x mask; row n of the mask is row first_row T + n. */
void dropout_forward(real *y, const real *x, size_t N, size_t T, size_t C, const struct dropout *d,
                     uint32_t site);
void dropout_backward(real *dx, const real *dy, size_t N, size_t T, size_t C,
                      const struct dropout *d, uint32_t site);

/* y (N,C) = x + branch mask; d->p may be 0. */
void residual_forward(real *y, const real *x, const real *branch, size_t N, size_t T, size_t C,
                      const struct dropout *d, uint32_t site);
void residual_backward(real *dx, real *dbranch, const real *dy, size_t N, size_t T, size_t C,
                       const struct dropout *d, uint32_t site);

/* y (B,T,C) from qkv (B,T,3C): queries, keys, values, each H heads of C/H; saves lse (B,H,T), the log-sum-exp of each query's
 * scores. Query i has keys start[i] … i: start (B,T) is where the token's document begins in its row; NULL: keys 0 … i. d may be
 * NULL; row (first_row H + b H + h) T + i of the mask is that of query i, its column j that of key start[i] + j. */
void attention_forward(real *y, real *lse, const real *qkv, const uint32_t *start, size_t B,
                       size_t T, size_t C, size_t H, const struct dropout *d, uint32_t site);
void attention_backward(real *dqkv, const real *dy, const real *qkv, const real *y, const real *lse,
                        const uint32_t *start, size_t B, size_t T, size_t C, size_t H,
                        const struct dropout *d, uint32_t site);

/* y (N,C) = gelu(x w_fc + b_fc) w_proj + b_proj, w_fc (C,4C), w_proj (4C,C); saves fc and act (N,4C), before and after the gelu.
 * dfc and dact (N,4C) are scratch. */
void mlp_forward(real *y, real *fc, real *act, const real *x, const real *w_fc, const real *b_fc,
                 const real *w_proj, const real *b_proj, size_t N, size_t C, enum gelu_kind kind);
void mlp_backward(real *dx, real *dw_fc, real *db_fc, real *dw_proj, real *db_proj, real *dfc,
                  real *dact, const real *dy, const real *fc, const real *act, const real *x,
                  const real *w_fc, const real *w_proj, size_t N, size_t C, enum gelu_kind kind);

/* losses (N) = -log softmax(x wte^T)[target] over the first V of wte's rows; x (N,C), wte (padded,C), targets (N), or
 * NO_TARGET, whose loss is 0. logits is scratch of N rows of `padded`. The backward writes losses too. */
#ifndef NO_TARGET
#define NO_TARGET UINT32_MAX
#endif
void loss_forward(real *losses, real *logits, const real *x, const real *wte,
                  const uint32_t *targets, size_t N, size_t C, size_t V, size_t padded);
void loss_backward(real *dx, real *dwte, real *losses, real *logits, const real *dlosses,
                   const real *x, const real *wte, const uint32_t *targets, size_t N, size_t C,
                   size_t V, size_t padded);

/* One layer of GPT-2, with N = B T: mid (N,C) = x + mask proj(attention(qkv(ln_1(x)))), out (N,C) = mid + mask mlp(ln_2(mid)).
 * Parameters bear their GPT-2 names: gains of ln_1 and ln_2 (C), attn_c_attn (C,3C), attn_c_proj (C,C), mlp_c_fc (C,4C), mlp_c_proj
 * (4C,C), and their biases. Saves ln_1 and ln_2 (N,C) with mean and rstd (N) of each, qkv (N,3C), att (N,C) and lse (B,H,T) of the
 * attention, mid (N,C), fc and act (N,4C). Sites of the masks are 4 layer + DROP_ATTENTION, DROP_ATTENTION_OUTPUT (in mid) and
 * DROP_MLP_OUTPUT (in out); d->p may be 0. start is the attention's.
 * Scratch: branch (N,C), and in the backward dmid, dbranch, dln, datt (N,C), dqkv (N,3C), dfc, dact (N,4C). */
void block_forward(real *out, real *ln_1, real *ln_1_mean, real *ln_1_rstd, real *qkv, real *att,
                   real *lse, real *mid, real *ln_2, real *ln_2_mean, real *ln_2_rstd, real *fc,
                   real *act, real *branch, const real *x, const real *ln_1_weight,
                   const real *ln_1_bias, const real *attn_c_attn_weight,
                   const real *attn_c_attn_bias, const real *attn_c_proj_weight,
                   const real *attn_c_proj_bias, const real *ln_2_weight, const real *ln_2_bias,
                   const real *mlp_c_fc_weight, const real *mlp_c_fc_bias,
                   const real *mlp_c_proj_weight, const real *mlp_c_proj_bias,
                   const uint32_t *start, size_t B, size_t T, size_t C, size_t H,
                   enum gelu_kind kind, const struct dropout *d, uint32_t layer);
void block_backward(real *dx, real *dln_1_weight, real *dln_1_bias, real *dattn_c_attn_weight,
                    real *dattn_c_attn_bias, real *dattn_c_proj_weight, real *dattn_c_proj_bias,
                    real *dln_2_weight, real *dln_2_bias, real *dmlp_c_fc_weight,
                    real *dmlp_c_fc_bias, real *dmlp_c_proj_weight, real *dmlp_c_proj_bias,
                    real *dmid, real *dbranch, real *dln, real *datt, real *dqkv, real *dfc,
                    real *dact, const real *dout, const real *ln_1, const real *ln_1_mean,
                    const real *ln_1_rstd, const real *qkv, const real *att, const real *lse,
                    const real *mid, const real *ln_2, const real *ln_2_mean, const real *ln_2_rstd,
                    const real *fc, const real *act, const real *x, const real *ln_1_weight,
                    const real *attn_c_attn_weight, const real *attn_c_proj_weight,
                    const real *ln_2_weight, const real *mlp_c_fc_weight,
                    const real *mlp_c_proj_weight, const uint32_t *start, size_t B, size_t T,
                    size_t C, size_t H, enum gelu_kind kind, const struct dropout *d,
                    uint32_t layer);

#endif
