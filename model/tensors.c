/* tensors.c: the table of parameter tensors.
 *
 * Each kind of tensor is one line: its name, its shape in the letters of model_dim, how it is
 * initialised, and whether models without biases leave it out. The kinds inside a block come from
 * block_parts.def.
 *
 * Names, shapes and initial values are GPT-2's (Radford et al. 2019; names as in Hugging Face's
 * transformers): weights from N(0, 0.02²), and weights that write into the residual stream from
 * N(0, (0.02 / sqrt(2 n_layer))²). Each of the n_layer blocks adds to the stream twice, so its
 * variance does not grow with depth.
 */
#include "model/tensors.h"
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 16 }; /* elements: 64 bytes of float, a cache line and an AVX-512 register */

/* The largest array: as double complex, the widest number type, its bytes still fit a ptrdiff_t. */
#define TOTAL_MAX ((size_t)PTRDIFF_MAX / 16)

enum init { ZERO, UNIT, NORMAL, RESIDUAL };

static const struct kind {
    const char *name, *shape;
    enum init init;
    bool is_bias;
} kinds[TENSOR_KINDS] = {
    [WTE] = {"wte.weight", "V C", NORMAL, false},
    [WPE] = {"wpe.weight", "T C", NORMAL, false},
#define PARAMETER(kind, name, shape, init) [kind] = {name, shape, init, false},
#define BIAS(kind, name, shape)            [kind] = {name, shape, ZERO, true},
#include "model/block_parts.def"
    [LN_F_WEIGHT] = {"ln_f.weight", "C", UNIT, false},
    [LN_F_BIAS] = {"ln_f.bias", "C", ZERO, true},
};

static size_t times(size_t factor, size_t size)
{
    size_t product;
    return __builtin_mul_overflow(factor, size, &product) ? SIZE_MAX : product;
}

size_t model_dim(const struct model_config *c, char letter)
{
    switch (letter) {
    case 'V':
        return c->vocab_size;
    case 'P':
        return c->padded_vocab_size;
    case 'T':
        return c->block_size;
    case 'C':
    case 'A':
        return c->n_embd;
    case 'H':
        return c->n_head;
    case 'Q':
        return times(3, c->n_embd);
    case 'F':
        return times(4, c->n_embd);
    default:
        abort();
    }
}

static bool exists(enum tensor_kind kind, const struct model_config *config)
{
    return config->bias || !kinds[kind].is_bias;
}

/* How many of the kinds in [first, end) a model has. */
static size_t count_kinds(enum tensor_kind first, enum tensor_kind end,
                          const struct model_config *config)
{
    size_t n = 0;
    for (enum tensor_kind k = first; k < end; k++)
        n += exists(k, config);
    return n;
}

static void set_init(struct tensor *t, enum init init, size_t n_layer)
{
    t->init_mean = init == UNIT ? 1 : 0;
    t->init_std = init == NORMAL ? 0.02 : init == RESIDUAL ? 0.02 / sqrt(2 * (double)n_layer) : 0;
}

/* Appends a tensor to the list, at the next aligned offset. Returns false if a size overflows. */
static bool append(struct tensors *t, enum tensor_kind k, size_t layer)
{
    const struct model_config *config = &t->config;
    const struct kind *kind = &kinds[k];
    struct tensor *tensor = &t->list[t->count];
    if (tensor_kind_in_block(k))
        snprintf(tensor->name, sizeof tensor->name, "h.%zu.%s", layer, kind->name);
    else
        snprintf(tensor->name, sizeof tensor->name, "%s", kind->name);
    tensor->ndim = strlen(kind->shape) > 1 ? 2 : 1;
    tensor->decays = tensor->ndim == 2;
    set_init(tensor, kind->init, config->n_layer);
    tensor->offset = t->total;
    tensor->shape[0] = model_dim(config, kind->shape[0]);
    tensor->shape[1] = tensor->ndim == 2 ? model_dim(config, kind->shape[2]) : 1;

    const size_t rows = k == WTE ? config->padded_vocab_size : tensor->shape[0];
    size_t end;
    if (tensor->shape[0] == SIZE_MAX || tensor->shape[1] == SIZE_MAX ||
        __builtin_mul_overflow(rows, tensor->shape[1], &tensor->size) ||
        __builtin_add_overflow(tensor->offset, tensor->size, &end) || end > TOTAL_MAX)
        return false;
    t->n_parameters += tensor_file_size(tensor);
    t->total = (end + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    t->count++;
    return true;
}

static bool append_kinds(struct tensors *t, enum tensor_kind first, enum tensor_kind end,
                         size_t layer)
{
    for (enum tensor_kind k = first; k < end; k++)
        if (exists(k, &t->config) && !append(t, k, layer))
            return false;
    return true;
}

static bool fill(struct tensors *t)
{
    bool ok = append_kinds(t, WTE, LN_1_WEIGHT, 0);
    for (size_t layer = 0; ok && layer < t->config.n_layer; layer++)
        ok = append_kinds(t, LN_1_WEIGHT, LN_F_WEIGHT, layer);
    return ok && append_kinds(t, LN_F_WEIGHT, TENSOR_KINDS, 0);
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
    const size_t per_layer = count_kinds(LN_1_WEIGHT, LN_F_WEIGHT, config);
    if (!exists(kind, config) || (tensor_kind_in_block(kind) && layer >= config->n_layer))
        return NULL;
    /* Kinds before this one, once for each layer that lies before it. */
    const size_t layers = tensor_kind_in_block(kind) ? layer
                          : kind < LN_1_WEIGHT       ? 0
                                                     : config->n_layer - 1;
    return &t->list[count_kinds(WTE, kind, config) + layers * per_layer];
}

size_t tensor_file_size(const struct tensor *t)
{
    return t->shape[0] * t->shape[1];
}
