/* causal_probe.h: checks that a model cannot see the future. A leak lowers the training loss and
 * ruins generation, so training begins with this check. */
#ifndef CAUSAL_PROBE_H
#define CAUSAL_PROBE_H

#include "model/gpt.h"
#include <stdbool.h>

#define gpt_causal_probe NAME(gpt_causal_probe)

/* Runs the model on one random sequence of block_size tokens and checks three properties:
 *
 *   outputs    changing the token at t leaves every output and loss before t bit-identical
 *   gradients  the loss at t has a gradient of exactly zero with respect to every later embedding
 *   weights    the attention weights of a query sum to one and are exactly zero beyond its position
 *
 * With documents, the sequence is divided into four, and tokens of other documents must have no
 * influence either.
 *
 * Returns 0, or -1 with one line in message that names the leak and its two positions, or says that
 * memory is short. Gradients are not checked in a model for inference. g->grads is zero afterwards;
 * the parameters do not change. */
int gpt_causal_probe(struct gpt *g, bool documents, char *message, size_t size);

#endif
