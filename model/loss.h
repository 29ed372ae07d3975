/* loss.h: the tied output layer and its cross-entropy, forward and backward, in chunks of tokens. */
#ifndef LOSS_H
#define LOSS_H

#include "model/real.h"

/* In the place of a target: no loss, nor a gradient, of this token. */
#define NO_TARGET UINT32_MAX

#define loss_forward  NAME(loss_forward)
#define loss_backward NAME(loss_backward)
#define loss_chunk    NAME(loss_chunk)

/* losses (N) = -log softmax(x wte^T)[target], nats per token, for x (N,C), wte (padded,C), targets (N) below V or NO_TARGET, whose
 * loss is 0. The rows of wte from V on take no part. logits (loss_chunk(N, padded), padded) is scratch. */
void loss_forward(real *losses, real *logits, const real *x, const real *wte,
                  const uint32_t *targets, size_t N, size_t C, size_t V, size_t padded);

/* Adds into dx (N,C) and dwte (padded,C) the gradients for dlosses (N), and writes losses as the forward does: what the forward
 * would save is one pass over the logits, so a training step calls this alone. */
void loss_backward(real *dx, real *dwte, real *losses, real *logits, const real *dlosses,
                   const real *x, const real *wte, const uint32_t *targets, size_t N, size_t C,
                   size_t V, size_t padded);

/* Tokens whose logits are in memory at a time. */
size_t loss_chunk(size_t N, size_t padded);

#endif
