/* nonfinite.h: which tensor went wrong first, and in which operation. */
#ifndef NONFINITE_H
#define NONFINITE_H

#include "train/passes.h"
#include <stdbool.h>

/* x, or the NaN that prints without a sign, which means nothing. */
double unsigned_nan(double x);

/* Runs a micro-batch again, forward and backward, and looks at every tensor that a part of it wrote, in the order in which they
 * were written: parameters first, since they are there before. text says which is the first that holds a number that is not
 * finite ("forward, h.3.mlp.c_fc (linear_forward): nan at row 5, column 17"). False where none does.
 * Overwrites g->grads. Arguments are gpt_loss_and_grads'. */
bool nonfinite_find(struct gpt *g, const struct passes *passes, const uint32_t *inputs,
                    const uint32_t *targets, size_t B, size_t T, double scale,
                    const struct dropout *d, char *text, size_t size);

#endif
