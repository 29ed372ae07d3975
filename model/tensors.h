/* tensors.h: the sizes of a model and the table of its parameter tensors. Initialisation,
 * optimiser, checkpoints and exchange formats all work from this table. It does not depend on the
 * number type: a parameter array of any type has the same layout. */
#ifndef TENSORS_H
#define TENSORS_H

#include <stdbool.h>
#include <stddef.h>

enum gelu_kind { GELU_TANH, GELU_ERF };

struct model_config {
    size_t n_layer, n_head, n_embd, block_size;
    size_t vocab_size;        /* symbols in the loss and in files */
    size_t padded_vocab_size; /* rows of wte in memory; rows from vocab_size on are zero */
    bool bias;                /* linear layers and LayerNorms have biases */
    enum gelu_kind gelu;
    double dropout; /* probability of a zero; 0: no dropout */
};

/* The kinds of tensors, in the order of the parameter array. Those of a block exist once per
 * layer. */
enum tensor_kind {
    WTE,
    WPE,
#define PARAMETER(kind, name, shape, init) kind,
#define BIAS(kind, name, shape)            kind,
#include "model/block_parts.def"
    LN_F_WEIGHT,
    LN_F_BIAS,
    TENSOR_KINDS
};

static inline bool tensor_kind_in_block(enum tensor_kind kind)
{
    return kind > WPE && kind < LN_F_WEIGHT;
}

struct tensor {
    char name[48];   /* as Hugging Face writes GPT-2's: "h.3.attn.c_attn.weight" */
    int ndim;        /* 1 or 2 */
    size_t shape[2]; /* as in files; shape[1] is 1 for a vector */
    size_t offset;   /* of the first element in the parameter array */
    size_t size;     /* elements in memory: the product of the shape, more if rows are padded */
    double init_mean, init_std;
    bool decays; /* weight decay applies: the tensor has two dimensions */
};

struct tensors {
    size_t count;
    size_t total;        /* elements of the parameter array, with alignment gaps */
    size_t n_parameters; /* without gaps and padding */
    struct tensor *list;
    struct model_config config;
};

/* The size that a letter stands for in shapes: V symbols, P rows of wte in memory, T positions, C
 * width of the residual stream, H heads, Q width of a token's queries, keys and values together, A
 * width of the attention output, F hidden width of the MLP. No other code derives widths from a
 * configuration. Returns SIZE_MAX if the size overflows. */
size_t model_dim(const struct model_config *config, char letter);

/* Returns the table for a model of these sizes, to be freed with tensors_destroy, or NULL if memory
 * is short or a size overflows. */
struct tensors *tensors_create(const struct model_config *config);
void tensors_destroy(struct tensors *t);

/* Returns the tensor of a kind in a layer (0 for kinds outside the blocks), or NULL if the model
 * has none, such as a bias with bias = no. */
const struct tensor *tensors_find(const struct tensors *t, enum tensor_kind kind, size_t layer);

/* Elements of a tensor in files. They come first in its range in memory. */
size_t tensor_file_size(const struct tensor *t);

#endif
