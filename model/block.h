/* block.h: one Transformer block, forward and backward: LayerNorm, attention, residual connection;
 * LayerNorm, MLP, residual connection. */
#ifndef BLOCK_H
#define BLOCK_H

#include "base/arena.h"
#include "model/dropout.h"
#include "model/real.h"
#include "model/tensors.h"

#define block_take_activations NAME(block_take_activations)
#define block_before_attention NAME(block_before_attention)
#define block_after_attention  NAME(block_after_attention)
#define block_forward          NAME(block_forward)
#define block_recompute        NAME(block_recompute)
#define block_backward         NAME(block_backward)
#define block_activations      TYPE(block_activations)
#define block_scratch          TYPE(block_scratch)

/* What a block's forward saves for N = B T rows: see block_parts.def. The backward recomputes ln_1
 * and ln_2 from x and mid, so all blocks may share one array for both. act may be NULL in training;
 * it is then recomputed from fc. out is the residual stream after the block. */
struct block_activations {
#define ACTIVATION(name, shape) real *name;
#include "model/block_parts.def"
};

/* Arrays that all blocks share. The MLP works on block_mlp_rows(N) rows at a time. */
struct block_scratch {
    real *branch; /* (N,C): the output of attention or MLP before the residual connection */
    real *act;    /* (rows,F): needed if the activations have none */
    real *dproj;  /* backward: the gradient of qkv, (N,Q), or of fc, (rows,F) */
    real *dact;   /* backward: (rows,F) */
    real *dnorm;  /* backward: (N,C), the gradient of att or of a LayerNorm's output */
};

/* Rows that the MLP computes at a time, so that their hidden activations stay in the last-level
 * cache. */
static inline size_t block_mlp_rows(size_t N)
{
    enum { ROWS = 1024 };
    return N < ROWS ? N : ROWS;
}

/* Takes the activations of N rows from an arena, except those that the caller provides: ln_1, ln_2,
 * act and out. */
void block_take_activations(struct block_activations *a, struct arena *m,
                            const struct model_config *config, size_t N);

/* The parts of the forward before and after attention itself; decoding puts attention over a cache
 * between them. w holds a layer's parameters by enum tensor_kind. */
void block_before_attention(struct block_activations *a, const real *x, real *const *w, size_t N,
                            const struct model_config *config);
void block_after_attention(struct block_activations *a, const struct block_scratch *s,
                           const real *x, real *const *w, size_t N, size_t T,
                           const struct model_config *config, const struct dropout *d,
                           uint32_t layer);

/* a->out (B,T,C) = block(x), x (B,T,C). a->out may be x if no backward follows. start (B,T) divides
 * rows into documents, or is NULL: see attention.h. */
void block_forward(struct block_activations *a, const struct block_scratch *s, const real *x,
                   const uint32_t *start, real *const *w, size_t B, size_t T,
                   const struct model_config *config, const struct dropout *d, uint32_t layer);

/* Computes all of a but out again, to the same bits, for a backward that has only the block's
 * input. */
void block_recompute(struct block_activations *a, const struct block_scratch *s, const real *x,
                     const uint32_t *start, real *const *w, size_t B, size_t T,
                     const struct model_config *config, const struct dropout *d, uint32_t layer);

/* On entry dx (B,T,C) is the gradient of the block's output, on return that of its input: one array
 * is the gradient of the residual stream, and every branch adds into it. Adds into dw the gradients
 * of the parameters. */
void block_backward(real *dx, real *const *dw, const struct block_scratch *s,
                    const struct block_activations *a, const real *x, const uint32_t *start,
                    real *const *w, size_t B, size_t T, const struct model_config *config,
                    const struct dropout *d, uint32_t layer);

#endif
