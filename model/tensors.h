/* tensors.h: the sizes of a model, and the one table of its parameter tensors that initialisation, optimiser and files are
 * driven by. Independent of the number type: a parameter array of any type is laid out by the same offsets. */
#ifndef TENSORS_H
#define TENSORS_H

#include <stdbool.h>
#include <stddef.h>

enum gelu_kind { GELU_TANH, GELU_ERF };

struct model_config {
    size_t n_layer, n_head, n_embd, block_size;
    size_t vocab_size; /* the symbols that the loss and the files know */
    size_t
        padded_vocab_size; /* rows of wte in memory; those from vocab_size on are zero and stay so */
    bool bias;             /* of the linear layers and LayerNorms */
    enum gelu_kind gelu;
    double dropout; /* probability of a zero, 0 for none */
};

/* The kinds of tensors, in the order of the parameter array. Those from LN_1_WEIGHT to MLP_C_PROJ_BIAS exist once a layer. */
enum tensor_kind {
    WTE,
    WPE,
    LN_1_WEIGHT,
    LN_1_BIAS,
    C_ATTN_WEIGHT,
    C_ATTN_BIAS,
    ATTN_C_PROJ_WEIGHT,
    ATTN_C_PROJ_BIAS,
    LN_2_WEIGHT,
    LN_2_BIAS,
    C_FC_WEIGHT,
    C_FC_BIAS,
    MLP_C_PROJ_WEIGHT,
    MLP_C_PROJ_BIAS,
    LN_F_WEIGHT,
    LN_F_BIAS,
    TENSOR_KINDS
};

struct tensor {
    char name[48];   /* GPT-2's, as Hugging Face writes it: "h.3.attn.c_attn.weight" */
    int ndim;        /* 1 or 2 */
    size_t shape[2]; /* as in files; shape[1] is 1 for a vector */
    size_t offset;   /* of the first element in the parameter array */
    size_t size;     /* elements in memory: shape[0] * shape[1], more where rows are padded */
    double init_mean, init_std;
    bool decays; /* weight decay applies: tensors of two dimensions */
};

struct tensors {
    size_t count;
    size_t total;        /* elements of the whole parameter array, gaps for alignment included */
    size_t n_parameters; /* without gaps and padding */
    struct tensor *list;
    struct model_config config;
};

/* The table for a model of these sizes, or NULL where memory is short. The caller frees it with tensors_destroy. */
struct tensors *tensors_create(const struct model_config *config);
void tensors_destroy(struct tensors *t);

/* The tensor of a kind in a layer (0 for kinds outside the blocks), or NULL where the model has none (a bias, with bias = no). */
const struct tensor *tensors_find(const struct tensors *t, enum tensor_kind kind, size_t layer);

/* Elements of a tensor as files hold it. They come first in its place in memory. */
size_t tensor_file_size(const struct tensor *t);

#endif
