/* attention.h: causal multi-head self-attention, forward and backward, in memory linear in T. */
#ifndef ATTENTION_H
#define ATTENTION_H

#include "dropout.h"
#include "real.h"

#define attention_forward  NAME(attention_forward)
#define attention_backward NAME(attention_backward)

/* y (B,T,C) from qkv (B,T,3C): queries, keys, values, each H heads of C/H. Saves lse (B,H,T), the log-sum-exp of each query's
 * scores. d drops attention weights; NULL for none. */
void attention_forward(real *y, real *lse, const real *qkv, size_t B, size_t T, size_t C, size_t H, const struct dropout *d,
                       uint32_t site);

/* Adds into dqkv (B,T,3C) the gradient for dy (B,T,C). */
void attention_backward(real *dqkv, const real *dy, const real *qkv, const real *y, const real *lse, size_t B, size_t T, size_t C,
                        size_t H, const struct dropout *d, uint32_t site);

#endif
