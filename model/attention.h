/* attention.h: causal multi-head self-attention, forward and backward, in memory linear in T. */
#ifndef ATTENTION_H
#define ATTENTION_H

#include "model/dropout.h"
#include "model/real.h"

#define attention_forward      NAME(attention_forward)
#define attention_backward     NAME(attention_backward)
#define attention_backward_set NAME(attention_backward_set)

/* y (B,T,C) from qkv (B,T,3C): queries, keys and values, each H heads of C/H. Saves lse (B,H,T),
 * the log-sum-exp of each query's scores. Query i attends to keys start[i] … i, where start (B,T)
 * gives the position at which the token's document begins in its row; with NULL, to keys 0 … i. d
 * (or NULL) drops attention weights: column j of the mask belongs to key start[i] + j. */
void attention_forward(real *y, real *lse, const real *qkv, const uint32_t *start, size_t B,
                       size_t T, size_t C, size_t H, const struct dropout *d, uint32_t site);

/* Adds into dqkv (B,T,3C) the gradient for dy (B,T,C). */
void attention_backward(real *dqkv, const real *dy, const real *qkv, const real *y, const real *lse,
                        const uint32_t *start, size_t B, size_t T, size_t C, size_t H,
                        const struct dropout *d, uint32_t site);

/* The same, but overwrites dqkv. */
void attention_backward_set(real *dqkv, const real *dy, const real *qkv, const real *y,
                            const real *lse, const uint32_t *start, size_t B, size_t T, size_t C,
                            size_t H, const struct dropout *d, uint32_t site);

#endif
