/* gpt_fixture.h: shared by the tests of the whole model: a small model, a change of its initial
 * weights, and a batch. */
#pragma once

#include "model/gpt.h"
#include "tests/batch.h"
#include "tests/numbers.h"

enum { B = 4, T = 18, V = 67, N = B * T };

static const struct model_config small_config = {.n_layer = 2,
                                                 .n_head = 3,
                                                 .n_embd = 36,
                                                 .block_size = T,
                                                 .vocab_size = V,
                                                 .padded_vocab_size = V,
                                                 .bias = true,
                                                 .gelu = GELU_TANH};
static const struct dropout dropout = {.p = 0.2, .seed = 11, .step = 2};
static uint32_t inputs[N], targets[N];

/* Adds random numbers to the weights. Initial weights are small and biases zero, which would hide
 * errors in parts of the gradient. */
static inline void perturb(struct gpt *g)
{
    for (size_t k = 0; k < g->tensors->count; k++)
        for (size_t i = 0; i < tensor_file_size(&g->tensors->list[k]); i++)
            g->params[g->tensors->list[k].offset + i] += (real)(0.1 * uniform(3 + (uint32_t)k, i));
}

static inline void require_same_grads(const struct gpt *a, const struct gpt *b, double tolerance)
{
    for (size_t k = 0; k < a->tensors->count; k++) {
        const struct tensor *t = &a->tensors->list[k];
        require_within(error_of(a->grads + t->offset, b->grads + t->offset, t->size), tolerance,
                       "%s", t->name);
    }
}
