/* linear.h: y = x W + b, forward and backward. */
#ifndef LINEAR_H
#define LINEAR_H

#include "model/real.h"

#define linear_forward      NAME(linear_forward)
#define linear_backward     NAME(linear_backward)
#define linear_backward_set NAME(linear_backward_set)

/* y (N,O) = x (N,I) w (I,O) + bias (O, or NULL). */
void linear_forward(real *y, const real *x, const real *w, const real *bias, size_t N, size_t I,
                    size_t O);

/* Adds into dx (N,I), dw (I,O) and dbias (O, or NULL) the gradients for dy (N,O). */
void linear_backward(real *dx, real *dw, real *dbias, const real *dy, const real *x, const real *w,
                     size_t N, size_t I, size_t O);

/* The same, but overwrites dx, which saves clearing it first. */
void linear_backward_set(real *dx, real *dw, real *dbias, const real *dy, const real *x,
                         const real *w, size_t N, size_t I, size_t O);

#endif
