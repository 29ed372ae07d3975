/* block.h: one Transformer block, forward and backward: pre-LayerNorm, attention, residual; pre-LayerNorm, MLP, residual. */
#ifndef BLOCK_H
#define BLOCK_H

#include "model/dropout.h"
#include "model/real.h"
#include "model/tensors.h"

#define block_before_attention NAME(block_before_attention)
#define block_after_attention  NAME(block_after_attention)
#define block_forward          NAME(block_forward)
#define block_recompute        NAME(block_recompute)
#define block_backward         NAME(block_backward)
#define block_activations      TYPE(block_activations)
#define block_scratch          TYPE(block_scratch)

/* What a block's forward saves, for N = B T rows. The backward makes ln_1 and ln_2 again from x and mid, so all blocks may share one
 * array for both; act, where it is NULL, from fc. */
struct block_activations {
    real *ln_1, *ln_1_mean, *ln_1_rstd; /* (N,C), (N), (N) */
    real *qkv;                          /* (N,3C) */
    real *att, *lse;                    /* (N,C), (B,H,T) */
    real *mid;                          /* (N,C): the residual stream after attention */
    real *ln_2, *ln_2_mean, *ln_2_rstd; /* (N,C), (N), (N) */
    real *fc, *act;                     /* (N,4C); act may be NULL */
    real *out;                          /* (N,C): the residual stream after the MLP */
};

/* Room that all blocks share. */
struct block_scratch {
    real *branch; /* (N,C): a branch before it joins the stream */
    real *act;    /* (rows,4C), rows = block_mlp_rows(N): where the activations have none */
    real *wide;   /* (N,3C) and (rows,4C): backward only */
    real *wide2;  /* (rows,4C): backward only */
    real *narrow; /* (N,C): backward only */
};

/* The MLP's rows that are in hand at a time: what it makes of them stays in the last cache. */
static inline size_t block_mlp_rows(size_t N)
{
    enum { ROWS = 1024 };
    return N < ROWS ? N : ROWS;
}

/* The parts of the forward before and after attention proper, so that decoding with a cache can put its own between them.
 * w holds a layer's parameters by enum tensor_kind. */
void block_before_attention(struct block_activations *a, const real *x, real *const *w, size_t N,
                            size_t C);
void block_after_attention(struct block_activations *a, const struct block_scratch *s,
                           const real *x, real *const *w, size_t N, size_t T,
                           const struct model_config *config, const struct dropout *d,
                           uint32_t layer);

/* a->out (B,T,C) = block of x (B,T,C). a->out may be x where nothing is kept for a backward. start (B,T) or NULL: attention.h. */
void block_forward(struct block_activations *a, const struct block_scratch *s, const real *x,
                   const uint32_t *start, real *const *w, size_t B, size_t T,
                   const struct model_config *config, const struct dropout *d, uint32_t layer);

/* Fills a once more, to the same bits, but for out: what a block's backward needs where only its input was kept. */
void block_recompute(struct block_activations *a, const struct block_scratch *s, const real *x,
                     const uint32_t *start, real *const *w, size_t B, size_t T,
                     const struct model_config *config, const struct dropout *d, uint32_t layer);

/* dx holds the gradient of the block's output on entry and that of its input on return: the residual stream's gradient is one
 * array that every branch adds into. Adds into dw the parameters' gradients. */
void block_backward(real *dx, real *const *dw, const struct block_scratch *s,
                    const struct block_activations *a, const real *x, const uint32_t *start,
                    real *const *w, size_t B, size_t T, const struct model_config *config,
                    const struct dropout *d, uint32_t layer);

#endif
