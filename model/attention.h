/* attention.h: causal multi-head self-attention, forward and backward, in memory linear in T. */
#ifndef ATTENTION_H
#define ATTENTION_H

#include "model/dropout.h"
#include "model/real.h"

#define attention_forward      NAME(attention_forward)
#define attention_backward     NAME(attention_backward)
#define attention_backward_set NAME(attention_backward_set)

/* y (B,T,C) from qkv (B,T,3C): queries, keys, values, each H heads of C/H. Saves lse (B,H,T), the log-sum-exp of each query's
 * scores. start (B,T) keeps queries to their documents: query i has keys start[i] … i, where start[i] is the position that its
 * document begins at, so that tokens of a document have it in common; NULL: keys 0 … i. d drops attention weights, column j of the
 * mask that of key start[i] + j; NULL for none. */
void attention_forward(real *y, real *lse, const real *qkv, const uint32_t *start, size_t B,
                       size_t T, size_t C, size_t H, const struct dropout *d, uint32_t site);

/* Adds into dqkv (B,T,3C) the gradient for dy (B,T,C). */
void attention_backward(real *dqkv, const real *dy, const real *qkv, const real *y, const real *lse,
                        const uint32_t *start, size_t B, size_t T, size_t C, size_t H,
                        const struct dropout *d, uint32_t site);

/* The same where nothing has been added to dqkv yet: sets it. */
void attention_backward_set(real *dqkv, const real *dy, const real *qkv, const real *y,
                            const real *lse, const uint32_t *start, size_t B, size_t T, size_t C,
                            size_t H, const struct dropout *d, uint32_t site);

#endif
