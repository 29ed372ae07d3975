/* passes.h: the passes over a model in the precision that a configuration asks for. A struct gpt serves both: its arrays are
 * float's, only what multiplies them differs. */
#ifndef PASSES_H
#define PASSES_H

#include "model/gpt.h"
#include "train/config/config.h"

struct passes {
    /* gpt_loss, gpt_loss_and_grads, gpt_causal_probe: see there */
    acc (*loss)(struct gpt *g, const uint32_t *inputs, const uint32_t *targets, size_t B, size_t T,
                const struct dropout *d);
    acc (*loss_and_grads)(struct gpt *g, const uint32_t *inputs, const uint32_t *targets, size_t B,
                          size_t T, double scale, const struct dropout *d);
    int (*causal_probe)(struct gpt *g, bool documents, char *message, size_t size);
};

extern const struct passes passes_f32, passes_bf16;

/* What a model that trains is created for. */
static inline enum gpt_use gpt_use_of(enum recompute r)
{
    return r == RECOMPUTE_NONE   ? GPT_TRAIN
           : r == RECOMPUTE_GELU ? GPT_TRAIN_RECOMPUTE_GELU
                                 : GPT_TRAIN_RECOMPUTE_BLOCK;
}

static inline const struct passes *passes_of(const struct config *c)
{
    return c->train.precision == PRECISION_BF16 ? &passes_bf16 : &passes_f32;
}

#endif
