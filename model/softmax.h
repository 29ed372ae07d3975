/* softmax.h: softmax over the last dimension, forward and backward. Attention and loss contain
 * fused versions; decoding uses this one. */
#ifndef SOFTMAX_H
#define SOFTMAX_H

#include "model/real.h"

#define softmax_forward  NAME(softmax_forward)
#define softmax_backward NAME(softmax_backward)
#define softmax_row      NAME(softmax_row)

/* p (N,C) = softmax of each row of x (N,C), C > 0. p may be x. */
void softmax_forward(real *p, const real *x, size_t N, size_t C);

/* One row x (C), on the calling thread; for use inside parallel regions. */
void softmax_row(real *p, const real *x, size_t C);

/* Adds into dx (N,C) the gradient for dp (N,C). */
void softmax_backward(real *dx, const real *dp, const real *p, size_t N, size_t C);

#endif
