/* norms.h: how large each tensor is, and how far a step of AdamW moved it. */
#ifndef NORMS_H
#define NORMS_H

#include "model/real.h"
#include "model/tensors.h"
#include "optim/adamw.h"

#define tensor_squares    NAME(tensor_squares)
#define tensor_norm       NAME(tensor_norm)
#define adamw_update_norm NAME(adamw_update_norm)

/* The sum of the squares of tensor t in an array laid out by the table, and its root, the Euclidean norm. */
double tensor_squares(const real *array, const struct tensor *t);
double tensor_norm(const real *array, const struct tensor *t);

/* The norm of what adamw_update added to tensor t in the step that left params, m and v as they are. Nothing of the step before
 * is needed: the moments say what was subtracted. lr and step are those of that update. */
double adamw_update_norm(const real *params, const real *m, const real *v, const struct tensor *t,
                         const struct adamw *o, double lr, uint64_t step);

#endif
