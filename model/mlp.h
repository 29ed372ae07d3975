/* mlp.h: the multilayer perceptron of a block, forward and backward. */
#ifndef MLP_H
#define MLP_H

#include "model/real.h"
#include "model/tensors.h"

#define mlp_forward  NAME(mlp_forward)
#define mlp_backward NAME(mlp_backward)
#define mlp_activate NAME(mlp_activate)

/* y (N,C) = gelu(x w_fc + b_fc) w_proj + b_proj, for x (N,C), w_fc (C,F), w_proj (F,C), biases (F)
 * and (C), or NULL. Saves fc (N,F), the input of the gelu, and act (N,F), its output. */
void mlp_forward(real *y, real *fc, real *act, const real *x, const real *w_fc, const real *b_fc,
                 const real *w_proj, const real *b_proj, size_t N, size_t C, size_t F,
                 enum gelu_kind kind);

/* act (N,F) from fc (N,F), as the forward computes it. */
void mlp_activate(real *act, const real *fc, size_t N, size_t F, enum gelu_kind kind);

/* Adds into dx, dw_fc, db_fc, dw_proj and db_proj the gradients for dy (N,C). dfc and dact (N,F)
 * are scratch. */
void mlp_backward(real *dx, real *dw_fc, real *db_fc, real *dw_proj, real *db_proj, real *dfc,
                  real *dact, const real *dy, const real *fc, const real *act, const real *x,
                  const real *w_fc, const real *w_proj, size_t N, size_t C, size_t F,
                  enum gelu_kind kind);

#endif
