/* adamw.h: AdamW, on flat arrays laid out by the tensor table. */
#ifndef ADAMW_H
#define ADAMW_H

#include "model/real.h"
#include "model/tensors.h"

#define adamw_update TYPE(adamw_update)

struct adamw {
    double beta1, beta2, eps, weight_decay;
};

/* Updates params and the first and second moments m and v in place with grads times grad_scale (the
 * clipping factor). step counts from 1. The four arrays have tensors->total elements. */
void adamw_update(real *params, real *m, real *v, const real *grads, double grad_scale,
                  const struct tensors *tensors, const struct adamw *o, double lr, uint64_t step);

#endif
