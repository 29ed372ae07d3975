/* mlp.c: linear, gelu, linear. The backward applies the chain rule to these three operations, from
 * last to first.
 *
 * Step by step: docs/derivations.md#mlp
 */
#include "model/mlp.h"
#include "model/gelu.h"
#include "model/linear.h"
#include "model/real.h"

void mlp_activate(real *act, const real *fc, size_t N, size_t F, enum gelu_kind kind)
{
    gelu_forward(act, fc, N * F, kind);
}

void mlp_forward(real *y, real *fc, real *act, const real *x, const real *w_fc, const real *b_fc,
                 const real *w_proj, const real *b_proj, size_t N, size_t C, size_t F,
                 enum gelu_kind kind)
{
    linear_forward(fc, x, w_fc, b_fc, N, C, F);
    mlp_activate(act, fc, N, F, kind);
    linear_forward(y, act, w_proj, b_proj, N, F, C);
}

void mlp_backward(real *dx, real *dw_fc, real *db_fc, real *dw_proj, real *db_proj, real *dfc,
                  real *dact, const real *dy, const real *fc, const real *act, const real *x,
                  const real *w_fc, const real *w_proj, size_t N, size_t C, size_t F,
                  enum gelu_kind kind)
{
    linear_backward_set(dact, dw_proj, db_proj, dy, act, w_proj, N, F, C);
    gelu_backward_set(dfc, dact, fc, N * F, kind);
    linear_backward(dx, dw_fc, db_fc, dfc, x, w_fc, N, C, F);
}
