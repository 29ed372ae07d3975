/* tensors.c: the one table of parameter tensors.
 *
 * A kind of tensor is one line below: its name, its shape in the symbols of the papers (V symbols, T positions, C width), how
 * it starts, and whether it belongs to a block and falls away in a model without biases. Everything else that handles
 * parameters (initialisation, weight decay, gradients, checkpoints, exchange formats) walks the list made from it, so that a
 * tensor added here is added everywhere.
 *
 * Names, shapes and initial values are GPT-2's (Radford et al. 2019; Hugging Face's names): weights from N(0, 0.02²), those
 * that write into the residual stream from N(0, (0.02 / sqrt(2 n_layer))²), so that the stream's variance does not grow with
 * depth: each of the n_layer blocks adds to it twice.
 */
#include "model/tensors.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { ALIGNMENT = 16 }; /* elements: 64 bytes of float, a cache line and an AVX-512 register */

/* The largest array: its bytes as double complex, the widest of the three types, still fit a ptrdiff_t. */
#define TOTAL_MAX ((size_t)PTRDIFF_MAX / 16)

enum symbol { ONE, V, T, C, C3, C4 };
enum init { ZERO, UNIT, NORMAL, RESIDUAL };

static const struct kind {
    const char *name; /* below "h.N." for those of a block */
    int ndim;
    enum symbol shape[2];
    enum init init;
    bool in_block, is_bias;
} kinds[TENSOR_KINDS] = {
    [WTE] = {"wte.weight", 2, {V, C}, NORMAL, false, false},
    [WPE] = {"wpe.weight", 2, {T, C}, NORMAL, false, false},
    [LN_1_WEIGHT] = {"ln_1.weight", 1, {C, ONE}, UNIT, true, false},
    [LN_1_BIAS] = {"ln_1.bias", 1, {C, ONE}, ZERO, true, true},
    [C_ATTN_WEIGHT] = {"attn.c_attn.weight", 2, {C, C3}, NORMAL, true, false},
    [C_ATTN_BIAS] = {"attn.c_attn.bias", 1, {C3, ONE}, ZERO, true, true},
    [ATTN_C_PROJ_WEIGHT] = {"attn.c_proj.weight", 2, {C, C}, RESIDUAL, true, false},
    [ATTN_C_PROJ_BIAS] = {"attn.c_proj.bias", 1, {C, ONE}, ZERO, true, true},
    [LN_2_WEIGHT] = {"ln_2.weight", 1, {C, ONE}, UNIT, true, false},
    [LN_2_BIAS] = {"ln_2.bias", 1, {C, ONE}, ZERO, true, true},
    [C_FC_WEIGHT] = {"mlp.c_fc.weight", 2, {C, C4}, NORMAL, true, false},
    [C_FC_BIAS] = {"mlp.c_fc.bias", 1, {C4, ONE}, ZERO, true, true},
    [MLP_C_PROJ_WEIGHT] = {"mlp.c_proj.weight", 2, {C4, C}, RESIDUAL, true, false},
    [MLP_C_PROJ_BIAS] = {"mlp.c_proj.bias", 1, {C, ONE}, ZERO, true, true},
    [LN_F_WEIGHT] = {"ln_f.weight", 1, {C, ONE}, UNIT, false, false},
    [LN_F_BIAS] = {"ln_f.bias", 1, {C, ONE}, ZERO, false, true},
};

static bool exists(enum tensor_kind kind, const struct model_config *config)
{
    return config->bias || !kinds[kind].is_bias;
}

/* How many of the kinds in [first, end) a model has: at most TENSOR_KINDS steps, whatever its depth. */
static size_t count_kinds(enum tensor_kind first, enum tensor_kind end,
                          const struct model_config *config)
{
    size_t n = 0;
    for (enum tensor_kind k = first; k < end; k++)
        n += exists(k, config);
    return n;
}

/* The number that a symbol stands for; false where it overflows. */
static bool resolve(enum symbol symbol, const struct model_config *config, size_t *value)
{
    switch (symbol) {
    case ONE:
        *value = 1;
        return true;
    case V:
        *value = config->vocab_size;
        return true;
    case T:
        *value = config->block_size;
        return true;
    case C:
        *value = config->n_embd;
        return true;
    case C3:
        return !__builtin_mul_overflow(config->n_embd, (size_t)3, value);
    case C4:
        return !__builtin_mul_overflow(config->n_embd, (size_t)4, value);
    }
    return false;
}

static void set_init(struct tensor *t, enum init init, size_t n_layer)
{
    t->init_mean = init == UNIT ? 1 : 0;
    t->init_std = init == NORMAL ? 0.02 : init == RESIDUAL ? 0.02 / sqrt(2 * (double)n_layer) : 0;
}

/* Appends a tensor to the list, at the next aligned offset; false where a size overflows. */
static bool append(struct tensors *t, enum tensor_kind k, size_t layer)
{
    const struct model_config *config = &t->config;
    const struct kind *kind = &kinds[k];
    struct tensor *tensor = &t->list[t->count];
    if (kind->in_block)
        snprintf(tensor->name, sizeof tensor->name, "h.%zu.%s", layer, kind->name);
    else
        snprintf(tensor->name, sizeof tensor->name, "%s", kind->name);
    tensor->ndim = kind->ndim;
    tensor->decays = kind->ndim == 2;
    set_init(tensor, kind->init, config->n_layer);
    tensor->offset = t->total;

    size_t end;
    if (!resolve(kind->shape[0], config, &tensor->shape[0]) ||
        !resolve(kind->shape[1], config, &tensor->shape[1]))
        return false;
    const size_t rows = kind->shape[0] == V ? config->padded_vocab_size : tensor->shape[0];
    if (__builtin_mul_overflow(rows, tensor->shape[1], &tensor->size) ||
        __builtin_add_overflow(tensor->offset, tensor->size, &end) || end > TOTAL_MAX)
        return false;
    t->n_parameters += tensor_file_size(tensor);
    t->total = (end + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    t->count++;
    return true;
}

static bool fill(struct tensors *t)
{
    for (enum tensor_kind k = WTE; k < LN_1_WEIGHT; k++)
        if (exists(k, &t->config) && !append(t, k, 0))
            return false;
    for (size_t layer = 0; layer < t->config.n_layer; layer++)
        for (enum tensor_kind k = LN_1_WEIGHT; k < LN_F_WEIGHT; k++)
            if (exists(k, &t->config) && !append(t, k, layer))
                return false;
    for (enum tensor_kind k = LN_F_WEIGHT; k < TENSOR_KINDS; k++)
        if (exists(k, &t->config) && !append(t, k, 0))
            return false;
    return true;
}

struct tensors *tensors_create(const struct model_config *config)
{
    const size_t per_layer = count_kinds(LN_1_WEIGHT, LN_F_WEIGHT, config);
    size_t count;
    if (config->padded_vocab_size < config->vocab_size ||
        __builtin_mul_overflow(config->n_layer, per_layer, &count) ||
        __builtin_add_overflow(count, (size_t)TENSOR_KINDS, &count))
        return NULL;
    struct tensors *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->config = *config;
    t->list = calloc(count, sizeof *t->list);
    if (!t->list || !fill(t)) {
        tensors_destroy(t);
        return NULL;
    }
    return t;
}

void tensors_destroy(struct tensors *t)
{
    if (!t)
        return;
    free(t->list);
    free(t);
}

const struct tensor *tensors_find(const struct tensors *t, enum tensor_kind kind, size_t layer)
{
    const struct model_config *config = &t->config;
    if (!exists(kind, config))
        return NULL;
    const size_t before = count_kinds(WTE, LN_1_WEIGHT, config),
                 per_layer = count_kinds(LN_1_WEIGHT, LN_F_WEIGHT, config);
    if (kind < LN_1_WEIGHT)
        return &t->list[count_kinds(WTE, kind, config)];
    if (kind >= LN_F_WEIGHT)
        return &t->list[before + config->n_layer * per_layer +
                        count_kinds(LN_F_WEIGHT, kind, config)];
    if (layer >= config->n_layer)
        return NULL;
    return &t->list[before + layer * per_layer + count_kinds(LN_1_WEIGHT, kind, config)];
}

size_t tensor_file_size(const struct tensor *t)
{
    return t->shape[0] * t->shape[1];
}
