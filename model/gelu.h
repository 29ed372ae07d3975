/* gelu.h: the Gaussian error linear unit in both forms, forward and backward. */
#ifndef GELU_H
#define GELU_H

#include "model/real.h"
#include "model/tensors.h"

#define gelu_forward      NAME(gelu_forward)
#define gelu_backward     NAME(gelu_backward)
#define gelu_backward_set NAME(gelu_backward_set)

/* y (n) = gelu(x), x (n). */
void gelu_forward(real *y, const real *x, size_t n, enum gelu_kind kind);

/* Adds into dx (n) the gradient for dy (n). */
void gelu_backward(real *dx, const real *dy, const real *x, size_t n, enum gelu_kind kind);

/* The same, but overwrites dx. */
void gelu_backward_set(real *dx, const real *dy, const real *x, size_t n, enum gelu_kind kind);

#endif
