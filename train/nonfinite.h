/* nonfinite.h: finds the first tensor of a pass that is not finite and the operation that wrote
 * it. */
#pragma once

#include "model/gpt.h"
#include "model/model_code.h"

/* Returns x, or a NaN that prints without a sign. */
double unsigned_nan(double x);

/* Checks the parameters, then runs a micro-batch again, forward and backward, and checks every
 * tensor right after it is written. `text` describes the first number that is not finite: "forward,
 * h.3.mlp.c_fc (linear_forward): nan at row 5, column 17"; "" if all are finite.
 * Overwrites g->grads. */
void nonfinite_find(struct gpt *g, const struct model_code *code, const struct batch *batch,
                    const struct dropout *d, char *text, size_t size);
