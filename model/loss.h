/* loss.h: the output layer and its cross-entropy, forward and backward, in chunks of tokens. */
#ifndef LOSS_H
#define LOSS_H

#include "base/batch.h"
#include "model/real.h"

#define loss_forward  NAME(loss_forward)
#define loss_backward NAME(loss_backward)
#define loss_chunk    NAME(loss_chunk)

/* losses (N) = -log softmax(x wte^T)[target], in nats, for x (N,C), wte (padded,C) and targets (N),
 * each below V or NO_TARGET, whose loss is 0. Rows of wte from V on are not used. logits
 * (loss_chunk(N, padded), padded) is scratch. */
void loss_forward(real *losses, real *logits, const real *x, const real *wte,
                  const uint32_t *targets, size_t N, size_t C, size_t V, size_t padded);

/* Adds into dx (N,C) and dwte (padded,C) the gradients for dlosses (N), and writes losses as the
 * forward does. The forward would have to save all logits, so a training step calls this function
 * alone. */
void loss_backward(real *dx, real *dwte, real *losses, real *logits, const real *dlosses,
                   const real *x, const real *wte, const uint32_t *targets, size_t N, size_t C,
                   size_t V, size_t padded);

/* Number of tokens whose logits are in memory at a time. */
size_t loss_chunk(size_t N, size_t padded);

#endif
