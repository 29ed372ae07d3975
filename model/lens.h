/* lens.h: a model's view of one text: what each query attends to, what the model would predict
 * after each block, and the gradient of one token's loss.
 *
 * lens_attention and lens_logits read the activations that gpt_loss with one row and no dropout
 * left in a model. The model must keep the activations of all blocks: GPT_TRAIN or
 * GPT_TRAIN_RECOMPUTE_GELU. */
#ifndef LENS_H
#define LENS_H

#include "model/gpt.h"

#define lens_attention NAME(lens_attention)
#define lens_logits    NAME(lens_logits)
#define lens_gradient  NAME(lens_gradient)

/* weights (H,T,T) of a layer: for each head and query q, the weights over the keys. They sum to one
 * over keys k <= q; those of later keys are never computed and are set to zero. */
void lens_attention(real *weights, const struct gpt *g, size_t T, size_t layer);

/* logits (T,V) as if the model ended after its first `depth` blocks: ln_f and the output layer
 * applied to the residual stream, the logit lens (nostalgebraist 2020). Depth 0 is the embedding
 * alone; depth n_layer gives the bits of gpt_logits. Overwrites g->ln_f. */
void lens_logits(real *logits, struct gpt *g, size_t T, size_t depth);

/* gradient (T,C) of the loss of token t alone with respect to every embedded token. It is zero
 * beyond t because the backward adds nothing there. Runs the model, and adds into g->grads. */
void lens_gradient(real *gradient, struct gpt *g, const struct batch *batch, size_t t);

#endif
