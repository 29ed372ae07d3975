/* lens.h: what a model does with one text, to look at: what each query attends to, what the model would say after each block, and
 * where the gradient of one token's loss goes.
 *
 * All three look at one sequence of T tokens. The first two read the activations that a forward of it left in a model created for
 * training that keeps those of all blocks (not GPT_TRAIN_RECOMPUTE_BLOCK; gpt_loss with B = 1 and no dropout). */
#ifndef LENS_H
#define LENS_H

#include "model/gpt.h"

#define lens_attention NAME(lens_attention)
#define lens_logits    NAME(lens_logits)
#define lens_gradient  NAME(lens_gradient)

/* weights (H,T,T) of a layer: those of query q over the keys, in each head. They sum to one over the keys k <= q; those of later
 * keys are never computed, and stand as zero. */
void lens_attention(real *weights, const struct gpt *g, size_t T, size_t layer);

/* logits (T,V) as if the model ended after its first `depth` blocks: ln_f and the output layer on the residual stream, the logit
 * lens (nostalgebraist 2020). depth 0 is the embedding alone, n_layer the model itself: gpt_logits, to the bit. g->ln_f is
 * overwritten. */
void lens_logits(real *logits, struct gpt *g, size_t T, size_t depth);

/* gradient (T,C) of the loss of the token at t alone with respect to every embedded token: zero beyond t, not because it is
 * set so, but because the backward has nothing to add there. Runs the model, and adds into g->grads. */
void lens_gradient(real *gradient, struct gpt *g, const uint32_t *inputs, const uint32_t *targets,
                   size_t T, size_t t);

#endif
