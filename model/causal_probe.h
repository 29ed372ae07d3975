/* causal_probe.h: the causal probe: does a model see the future? A leak lowers the training loss and ruins what the model writes, so
 * training begins by looking for one. */
#ifndef CAUSAL_PROBE_H
#define CAUSAL_PROBE_H

#include "model/gpt.h"
#include <stdbool.h>

#define gpt_causal_probe NAME(gpt_causal_probe)

/* Runs the model, as it is, on one random sequence of its own length, and looks three ways:
 *
 *   outputs    another token at t leaves every output and loss before t bit-identical
 *   gradients  the loss at t has a gradient of exactly zero with respect to every later embedding
 *   weights    attention's weights of a query sum to one over its keys, and are exactly zero beyond it
 *
 * With documents, the sequence is four of them, and the same is asked of tokens of other documents as of later tokens.
 *
 * Returns 0, or -1 with one line in message that says what leaks from where to where (or that memory is short). A model for
 * inference alone is not asked for gradients. g->grads are zero afterwards; nothing else of the model changes but its
 * activations. */
int gpt_causal_probe(struct gpt *g, bool documents, char *message, size_t size);

#endif
