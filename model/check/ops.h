/* ops.h: every operation of the model as data: its tensors, their roles and shapes, and the cases it is checked in. Independent of
 * the number type; optable.h adds the code of each build. */
#ifndef OPS_H
#define OPS_H

#include "model/tensors.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum op {
    OP_EMBEDDING,
    OP_LINEAR,
    OP_LAYERNORM,
    OP_GELU_TANH,
    OP_GELU_ERF,
    OP_SOFTMAX,
    OP_DROPOUT,
    OP_RESIDUAL,
    OP_ATTENTION,
    OP_MLP,
    OP_LOSS,
    OP_BLOCK,
    OPS
};

/* Inputs and parameters get gradients, outputs bring them. The forward writes outputs and saved tensors; scratch holds nothing
 * between two calls. */
enum role { ROLE_INPUT, ROLE_PARAMETER, ROLE_OUTPUT, ROLE_SAVED, ROLE_SCRATCH };

struct op_tensor {
    const char *name;
    enum role role;
    const char
        *shape;   /* "B T 3C": sizes of the case by letter, with N = B T and L = loss_chunk(N, P) */
    bool is_bias; /* absent (NULL) in a case without biases */
};

enum { OP_TENSORS_MAX = 40, OP_NAME_MAX = 32 };

struct op_info {
    const char *name;
    size_t count;
    struct op_tensor tensors[OP_TENSORS_MAX];
};

/* Where other operations stand inside a block, those of its MLP last: see op_part_info. */
enum op_part {
    PART_LN_1,
    PART_C_ATTN,
    PART_ATTENTION,
    PART_ATTN_C_PROJ,
    PART_ATTN_RESIDUAL,
    PART_ATTN_DROPOUT,
    PART_LN_2,
    PART_MLP,
    PART_MLP_RESIDUAL,
    PART_MLP_DROPOUT,
    PART_C_FC,
    PART_GELU_TANH,
    PART_GELU_ERF,
    PART_MLP_C_PROJ,
    OP_PARTS
};

struct op_part_info {
    const char *name;
    enum op op;
};

/* The sizes and settings of one call. */
struct op_case {
    size_t B, T, C; /* sequences, tokens of each, width */
    size_t H;       /* heads */
    size_t O;       /* width of linear's output */
    size_t V, P;    /* symbols, and rows of wte in memory */
    bool bias;
    enum gelu_kind gelu;
    double p;           /* of dropout; 0 for none */
    uint64_t first_row; /* of dropout */
    size_t
        document; /* about so many tokens make a document, whose attention and loss stay in it; 0: one a row */
    bool large;      /* a pass is expensive: a few directions and coordinates stand for all */
    unsigned faults; /* mistakes.h: read by the plain operations alone */
    unsigned part_faults[OP_PARTS]; /* the same, of what a composition is made of */
    uint32_t site; /* of a plain operation's dropout, where it is not the operation's own (0) */
    const uint32_t *ids, *targets; /* (N), below V, or NO_TARGET: the caller's */
    const uint32_t *start;         /* (B,T), or NULL: the caller's */
};

/* The random bits that every case with dropout draws from. */
enum { OP_DROPOUT_SEED = 20240229, OP_DROPOUT_STEP = 7, OP_LAYER = 3 };

extern const struct op_info op_info[OPS];
extern const struct op_part_info op_part_info[OP_PARTS];

/* Is the part one of this composition's? */
bool op_has_part(enum op op, enum op_part part);

/* The operation of this name, or OPS. */
enum op op_find(const char *name);

/* A tensor's name as that of a function's argument: "ln_1.weight" is ln_1_weight. */
void op_argument(char name[OP_NAME_MAX], const struct op_tensor *t);

/* The numbers of a tensor's shape, at most three, and how many there are. An absent tensor has none. */
int op_shape(size_t shape[3], const struct op_tensor *t, const struct op_case *c);

/* Elements of a tensor; 0 where it is absent. */
size_t op_size(const struct op_tensor *t, const struct op_case *c);

/* The cases of an operation: all sizes different, primes, ones, and both sides of every tile, strip and chunk. */
const struct op_case *op_cases(enum op op, size_t *count);

static inline bool op_differentiable(const struct op_tensor *t)
{
    return t->role == ROLE_INPUT || t->role == ROLE_PARAMETER;
}

#endif
