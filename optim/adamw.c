/* adamw.c: Adam (Kingma and Ba 2015, arXiv:1412.6980) with decoupled weight decay (Loshchilov and
 * Hutter 2019, arXiv:1711.05101).
 *
 * With the gradient g, the step t from 1, and the decay lambda, which is zero for tensors of one
 * dimension:
 *
 *     theta -= lr lambda theta                        decoupled: not part of the gradient
 *     m  = beta1 m + (1 - beta1) g
 *     v  = beta2 v + (1 - beta2) g^2
 *     theta -= lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)
 *
 * m and v start at zero, so at first they are too small by the factors that 1 - beta^t corrects.
 * eps is outside the root.
 *
 * Memory bandwidth limits the speed: one pass over the four arrays, with both corrections folded
 * into constants.
 *
 * Step by step: docs/derivations.md#adamw
 */
#include "optim/adamw.h"
#include "model/real.h"

static void update_tensor(real *restrict p, real *restrict m, real *restrict v,
                          const real *restrict g, size_t n, real grad_scale, real decay,
                          real step_size, real inverse_root_correction, const struct adamw *o)
{
    const real b1 = (real)o->beta1, b2 = (real)o->beta2, c1 = (real)(1 - o->beta1),
               c2 = (real)(1 - o->beta2), eps = (real)o->eps;
#pragma omp parallel for simd
    for (size_t i = 0; i < n; i++) {
        const real gi = g[i] * grad_scale;
        m[i] = b1 * m[i] + c1 * gi;
        v[i] = b2 * v[i] + c2 * gi * gi;
        p[i] = p[i] * decay - step_size * m[i] / (real_sqrt(v[i]) * inverse_root_correction + eps);
    }
}

void adamw_update(real *params, real *m, real *v, const real *grads, double grad_scale,
                  const struct tensors *tensors, const struct adamw *o, double lr, uint64_t step)
{
    const double correction1 = 1 - pow(o->beta1, (double)step),
                 correction2 = 1 - pow(o->beta2, (double)step);
    for (size_t k = 0; k < tensors->count; k++) {
        const struct tensor *t = &tensors->list[k];
        const double decay = t->decays ? 1 - lr * o->weight_decay : 1;
        update_tensor(params + t->offset, m + t->offset, v + t->offset, grads + t->offset, t->size,
                      (real)grad_scale, (real)decay, (real)(lr / correction1),
                      (real)(1 / sqrt(correction2)), o);
    }
}
