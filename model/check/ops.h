/* ops.h: every operation of the model as data: its tensors with their roles and shapes, its parts,
 * and the cases in which it is checked. It does not depend on the number type; op_code.h adds the
 * functions of each build. */
#pragma once

#include "model/tensors.h"
#include <stdint.h>

enum op {
#define OP(ID, ...) OP_##ID,
#include "model/check/ops.def"
#undef OP
    OP_BLOCK,
    OPS
};

/* Inputs and parameters have gradients, which a backward adds into; it receives those of outputs.
 * The forward writes outputs and saved tensors. Scratch holds nothing between two calls. */
enum role { ROLE_INPUT, ROLE_PARAMETER, ROLE_OUTPUT, ROLE_SAVED, ROLE_SCRATCH };

struct op_tensor {
    const char *name;
    enum role role;
    const char *shape; /* "B T Q": letters of op_dim */
    bool is_bias;      /* absent (NULL) in cases without biases */
    bool is_gain;      /* around 1 */
};

struct op_part {
    const char *name;
    enum op op;
};

enum { OP_TENSORS_MAX = 40, OP_NAME_MAX = 32, OP_PLACES_MAX = 20 };

/* The sizes and settings of one call. */
struct op_case {
    size_t B, T, C; /* sequences, tokens of each, width */
    size_t H;       /* heads */
    size_t O;       /* width of linear's output */
    size_t V, P;    /* symbols, and rows of wte in memory */
    bool bias;
    enum gelu_kind gelu;
    double p;           /* of dropout; 0: none */
    uint64_t first_row; /* of dropout */
    size_t document;    /* approximate length of documents in tokens; 0: rows are not divided */
    bool large; /* a pass is expensive, so only a few directions and coordinates are checked */
    const uint32_t *ids, *targets; /* (N), below V, or NO_TARGET: owned by the caller */
    const uint32_t *start;         /* (B,T), or NULL: owned by the caller */
};

struct op_info {
    const char *name;
    const char *function; /* the prefix of the names of forward and backward */
    const struct op_tensor *tensors;
    size_t count; /* of tensors */
    const struct op_part *parts;
    size_t part_count; /* 0 unless the operation is composed of others */
    const struct op_case *cases;
    size_t case_count;
};

extern const struct op_info op_info[OPS];

/* The random bits that every case with dropout uses. */
enum { OP_DROPOUT_SEED = 20240229, OP_DROPOUT_STEP = 7, OP_LAYER = 3 };

/* The operation of this name, or OPS. */
enum op op_find(const char *name);

/* Where an operation occurs in another: the operation itself first, then its parts and their parts,
 * in the order of the forward. Returns their number. */
struct op_place {
    char name[48]; /* "mlp.c_fc" */
    enum op op;
};
size_t op_places(struct op_place places[OP_PLACES_MAX], enum op op);

/* The configuration of a model that has the sizes of a case. */
struct model_config op_config(const struct op_case *c);

/* The size that a letter stands for in a case: those of model_dim, and B sequences, T tokens, N = B
 * T, O outputs of linear, L = loss_chunk(N, P) rows of logits. */
size_t op_dim(const struct op_case *c, char letter);

/* The name of a tensor as that of a function's argument: "ln_1.weight" becomes ln_1_weight. */
void op_argument(char name[OP_NAME_MAX], const struct op_tensor *t);

/* Writes the sizes of a tensor's dimensions, at most three, and returns their number: 0 if the case
 * has no such tensor. */
int op_shape(size_t shape[3], const struct op_tensor *t, const struct op_case *c);

/* Elements of a tensor; 0 if the case has no such tensor. */
size_t op_size(const struct op_tensor *t, const struct op_case *c);

static inline bool op_differentiable(const struct op_tensor *t)
{
    return t->role == ROLE_INPUT || t->role == ROLE_PARAMETER;
}
