/* causal_probe.h: checks that a model cannot see the future. A leak lowers the training loss and ruins
 * generation, so training begins with this check. */
#ifndef CAUSAL_PROBE_H
#define CAUSAL_PROBE_H

#include "model/gpt.h"
#include <stdbool.h>

#define gpt_causal_probe NAME(gpt_causal_probe)

/* Runs the model as it is on one random sequence of its block_size, and checks three things:
 *
 *   outputs    another token at t leaves every output and loss before t bit-identical
 *   gradients  the loss at t has a gradient of exactly zero with respect to every later embedding
 *   weights    the attention weights of a query sum to one and are exactly zero beyond its position
 *
 * With documents, the sequence consists of four, and tokens of other documents must have no influence
 * either.
 *
 * Returns 0, or -1 with one line in message that says what leaks, from which position to which, or that
 * memory is short. Gradients are not checked in a model for inference. g->grads are zero afterwards;
 * nothing else of the model changes but its activations. */
int gpt_causal_probe(struct gpt *g, bool documents, char *message, size_t size);

#endif
