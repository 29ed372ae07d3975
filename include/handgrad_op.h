/* handgrad_op.h: the interface for a forward or backward of your own that handgrad checks and diagnoses.
 *
 *     handgrad gradcheck --template layernorm -o my.c        a forward, and a backward to complete
 *     cc -O2 -shared -fPIC my.c -o my.so -lm
 *     handgrad gradcheck --diagnose layernorm ./my.so        says whether it is right, or what is wrong
 *
 * A file defines one of the pairs below, or half of one. Arrays are row-major, and a check never passes
 * arrays that overlap; N is the number of tokens, B T. A forward writes its outputs and what it saves. A backward adds
 * (+=) into the gradients of inputs and parameters. It may read only what it receives: gradients of
 * outputs, saved values, inputs, parameters. A bias may be NULL, and so may its gradient.
 * docs/derivations.md derives every backward.
 *
 * This file is generated from include/handgrad_op.h.in and the headers of model/ by
 * `make include/handgrad_op.h`.
 */
/* clang-format off */
#ifndef HANDGRAD_OP_H
#define HANDGRAD_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum handgrad_gelu_kind { HANDGRAD_GELU_TANH, HANDGRAD_GELU_ERF };

/* A target that is not predicted: it has no loss and no gradient. */
#define HANDGRAD_NO_TARGET UINT32_MAX

/* The address of a dropout mask, together with site, row and column. */
struct handgrad_dropout {
    double p;           /* probability of a zero; 0: no dropout */
    uint64_t seed;      /* of the random bits */
    uint64_t step;      /* of the optimiser */
    uint64_t first_row; /* sequences before the first of x */
};

/* The place of a mask in the model: 4 * layer + one of these. */
enum handgrad_dropout_site {
    HANDGRAD_DROP_EMBEDDING,
    HANDGRAD_DROP_ATTENTION,
    HANDGRAD_DROP_ATTENTION_OUTPUT,
    HANDGRAD_DROP_MLP_OUTPUT
};

/* mask (n): 0 or 1/(1-p), for columns [column, column + n) of a row; column is a multiple of 4. The same
 * address gives the same mask. handgrad sets this pointer when it loads the file. */
__attribute__((weak)) void (*handgrad_dropout_mask)(double *mask, const struct handgrad_dropout *d,
                                                    uint32_t site, uint64_t row, size_t column,
                                                    size_t n);

/* --- the types of block_forward and block_backward --- */

struct handgrad_model_config {
    size_t n_layer, n_head, n_embd, block_size;
    size_t vocab_size, padded_vocab_size;
    bool bias;
    enum handgrad_gelu_kind gelu;
    double dropout;
};

/* Indices into the parameters w of a layer and into their gradients dw. */
enum handgrad_tensor_kind {
    HANDGRAD_WTE,
    HANDGRAD_WPE,
    HANDGRAD_LN_1_WEIGHT,
    HANDGRAD_LN_1_BIAS,
    HANDGRAD_C_ATTN_WEIGHT,
    HANDGRAD_C_ATTN_BIAS,
    HANDGRAD_ATTN_C_PROJ_WEIGHT,
    HANDGRAD_ATTN_C_PROJ_BIAS,
    HANDGRAD_LN_2_WEIGHT,
    HANDGRAD_LN_2_BIAS,
    HANDGRAD_C_FC_WEIGHT,
    HANDGRAD_C_FC_BIAS,
    HANDGRAD_MLP_C_PROJ_WEIGHT,
    HANDGRAD_MLP_C_PROJ_BIAS
};

/* What a block's forward saves, with C = n_embd, H = n_head, Q = 3 C, A = C, F = 4 C. */
struct handgrad_block_activations {
    double *ln_1; /* (N,C) */
    double *ln_1_mean; /* (N) */
    double *ln_1_rstd; /* (N) */
    double *qkv; /* (N,Q) */
    double *att; /* (N,A) */
    double *lse; /* (N,H) */
    double *mid; /* (N,C) */
    double *ln_2; /* (N,C) */
    double *ln_2_mean; /* (N) */
    double *ln_2_rstd; /* (N) */
    double *fc; /* (N,F) */
    double *act; /* (N,F) */
    double *out; /* (N,C) */
};

/* Scratch: branch (N,C), dproj (N, the larger of Q and F), dact (N,F), dnorm (N,C). */
struct handgrad_block_scratch {
    double *branch, *act, *dproj, *dact, *dnorm;
};

/* --- the operations --- */

/* y (B,T,C) from qkv (B,T,3C): queries, keys and values, each H heads of C/H. Saves lse (B,H,T), the
 * log-sum-exp of each query's scores. Query i attends to keys start[i] … i, where start (B,T) gives the
 * position at which the token's document begins in its row; with NULL, to keys 0 … i. d (or NULL) drops
 * attention weights: column j of the mask belongs to key start[i] + j. */
void attention_forward(double *y, double *lse, const double *qkv, const uint32_t *start, size_t B,
                       size_t T, size_t C, size_t H, const struct handgrad_dropout *d, uint32_t site);

/* Adds into dqkv (B,T,3C) the gradient for dy (B,T,C). */
void attention_backward(double *dqkv, const double *dy, const double *qkv, const double *y, const double *lse,
                        const uint32_t *start, size_t B, size_t T, size_t C, size_t H,
                        const struct handgrad_dropout *d, uint32_t site);

/* a->out (B,T,C) = block(x), x (B,T,C). a->out may be x if no backward follows. start (B,T) divides
 * rows into documents, or is NULL: see attention.h. */
void block_forward(struct handgrad_block_activations *a, const struct handgrad_block_scratch *s, const double *x,
                   const uint32_t *start, double *const *w, size_t B, size_t T,
                   const struct handgrad_model_config *config, const struct handgrad_dropout *d, uint32_t layer);

/* On entry dx (B,T,C) is the gradient of the block's output, on return that of its input: one array is
 * the gradient of the residual stream, and every branch adds into it. Adds into dw the gradients of the
 * parameters. */
void block_backward(double *dx, double *const *dw, const struct handgrad_block_scratch *s,
                    const struct handgrad_block_activations *a, const double *x, const uint32_t *start,
                    double *const *w, size_t B, size_t T, const struct handgrad_model_config *config,
                    const struct handgrad_dropout *d, uint32_t layer);

/* y (N,C) = x * mask. Row n of y uses row first_row * T + n of the mask; T is the length of a sequence.
 * y may be x. */
void dropout_forward(double *y, const double *x, size_t N, size_t T, size_t C, const struct handgrad_dropout *d,
                     uint32_t site);

/* Adds dy * mask into dx (N,C). */
void dropout_backward(double *dx, const double *dy, size_t N, size_t T, size_t C,
                      const struct handgrad_dropout *d, uint32_t site);

/* x (B,T,C) = wte[ids] + wpe[first + t]. ids (B,T), wte (V,C), wpe (at least first + T rows, C). first is
 * the position of each sequence's first token: 0, except in decoding with a cache. */
void embedding_forward(double *x, const uint32_t *ids, const double *wte, const double *wpe, size_t first,
                       size_t B, size_t T, size_t C);

/* Adds into dwte (V,C) and dwpe (T,C) the gradients for dx (B,T,C), with positions from 0. */
void embedding_backward(double *dwte, double *dwpe, const double *dx, const uint32_t *ids, size_t B,
                        size_t T, size_t C);

/* y (n) = gelu(x), x (n). */
void gelu_forward(double *y, const double *x, size_t n, enum handgrad_gelu_kind kind);

/* Adds into dx (n) the gradient for dy (n). */
void gelu_backward(double *dx, const double *dy, const double *x, size_t n, enum handgrad_gelu_kind kind);

/* y (N,C) = layernorm of x (N,C) with gain (C) and bias (C, or NULL). Saves mean (N) and rstd (N) for
 * the backward. y may be x. */
void layernorm_forward(double *y, double *mean, double *rstd, const double *x, const double *gain,
                       const double *bias, size_t N, size_t C);

/* Adds into dx (N,C), dgain (C) and dbias (C, or NULL) the gradients for dy (N,C). */
void layernorm_backward(double *dx, double *dgain, double *dbias, const double *dy, const double *x,
                        const double *mean, const double *rstd, const double *gain, size_t N, size_t C);

/* y (N,O) = x (N,I) w (I,O) + bias (O, or NULL). */
void linear_forward(double *y, const double *x, const double *w, const double *bias, size_t N, size_t I,
                    size_t O);

/* Adds into dx (N,I), dw (I,O) and dbias (O, or NULL) the gradients for dy (N,O). */
void linear_backward(double *dx, double *dw, double *dbias, const double *dy, const double *x, const double *w,
                     size_t N, size_t I, size_t O);

/* losses (N) = -log softmax(x wte^T)[target], in nats, for x (N,C), wte (padded,C) and targets (N), each
 * below V or HANDGRAD_NO_TARGET, whose loss is 0. The rows of wte from V on do not take part. logits
 * (loss_chunk(N, padded), padded) is scratch. */
void loss_forward(double *losses, double *logits, const double *x, const double *wte,
                  const uint32_t *targets, size_t N, size_t C, size_t V, size_t padded);

/* Adds into dx (N,C) and dwte (padded,C) the gradients for dlosses (N), and writes losses as the forward
 * does. The forward would have to save all logits, so a training step calls this function alone. */
void loss_backward(double *dx, double *dwte, double *losses, double *logits, const double *dlosses,
                   const double *x, const double *wte, const uint32_t *targets, size_t N, size_t C,
                   size_t V, size_t padded);

/* y (N,C) = gelu(x w_fc + b_fc) w_proj + b_proj, for x (N,C), w_fc (C,F), w_proj (F,C), biases (F) and
 * (C), or NULL. Saves fc (N,F), the input of the gelu, and act (N,F), its output. */
void mlp_forward(double *y, double *fc, double *act, const double *x, const double *w_fc, const double *b_fc,
                 const double *w_proj, const double *b_proj, size_t N, size_t C, size_t F,
                 enum handgrad_gelu_kind kind);

/* Adds into dx, dw_fc, db_fc, dw_proj and db_proj the gradients for dy (N,C). dfc and dact (N,F) are
 * scratch. */
void mlp_backward(double *dx, double *dw_fc, double *db_fc, double *dw_proj, double *db_proj, double *dfc,
                  double *dact, const double *dy, const double *fc, const double *act, const double *x,
                  const double *w_fc, const double *w_proj, size_t N, size_t C, size_t F,
                  enum handgrad_gelu_kind kind);

/* y (N,C) = x + dropout(branch). y may be x. d may be NULL; without active dropout, T and site are
 * ignored. */
void residual_forward(double *y, const double *x, const double *branch, size_t N, size_t T, size_t C,
                      const struct handgrad_dropout *d, uint32_t site);

/* Adds into dx (N,C) and dbranch (N,C) the gradients for dy (N,C). dx may be NULL if the caller uses dy
 * itself as the gradient of x. */
void residual_backward(double *dx, double *dbranch, const double *dy, size_t N, size_t T, size_t C,
                       const struct handgrad_dropout *d, uint32_t site);

/* p (N,C) = softmax of each row of x (N,C), C > 0. p may be x. */
void softmax_forward(double *p, const double *x, size_t N, size_t C);

/* Adds into dx (N,C) the gradient for dp (N,C). */
void softmax_backward(double *dx, const double *dp, const double *p, size_t N, size_t C);

#endif
