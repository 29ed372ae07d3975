/* residual.h: the residual connection with dropout, forward and backward. */
#ifndef RESIDUAL_H
#define RESIDUAL_H

#include "model/dropout.h"
#include "model/real.h"

#define residual_forward  NAME(residual_forward)
#define residual_backward NAME(residual_backward)

/* y (N,C) = x + dropout(branch). y may be x. d may be NULL; without active dropout, T and site are
 * ignored. */
void residual_forward(real *y, const real *x, const real *branch, size_t N, size_t T, size_t C,
                      const struct dropout *d, uint32_t site);

/* Adds into dx (N,C) and dbranch (N,C) the gradients for dy (N,C). dx may be NULL if the caller
 * uses dy itself as the gradient of x. */
void residual_backward(real *dx, real *dbranch, const real *dy, size_t N, size_t T, size_t C,
                       const struct dropout *d, uint32_t site);

#endif
