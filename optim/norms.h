/* norms.h: Euclidean norms of the gradient, of each tensor, and of its change by a step of
 * AdamW. */
#ifndef NORMS_H
#define NORMS_H

#include "model/real.h"
#include "model/tensors.h"
#include "optim/adamw.h"

#define gradient_norm     TYPE(gradient_norm)
#define tensor_norm       NAME(tensor_norm)
#define adamw_update_norm NAME(adamw_update_norm)

/* The norm of all gradients as one vector. */
double gradient_norm(const real *grads, const struct tensors *tensors);

/* The norm of tensor t in an array laid out by the table. */
double tensor_norm(const real *array, const struct tensor *t);

/* The norm of what adamw_update added to tensor t, from params, m and v after the update; the state
 * before it is not needed. lr and step are those of the update. */
double adamw_update_norm(const real *params, const real *m, const real *v, const struct tensor *t,
                         const struct adamw *o, double lr, uint64_t step);

#endif
