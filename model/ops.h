/* ops.h: every operation of the model as data: its tensors, their roles and shapes, and the cases it is checked in. Independent of
 * the number type; optable.h adds the code of each build. */
#ifndef OPS_H
#define OPS_H

#include "tensors.h"
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
    const char *shape; /* "B T 3C": sizes of the case by letter, with N = B T and L = loss_chunk(N, P) */
    bool is_bias;      /* absent (NULL) in a case without biases */
};

enum { OP_TENSORS_MAX = 40 };

struct op_info {
    const char *name;
    size_t count;
    struct op_tensor tensors[OP_TENSORS_MAX];
};

/* The sizes and settings of one call. */
struct op_case {
    size_t B, T, C; /* sequences, tokens of each, width */
    size_t H;       /* heads */
    size_t O;       /* width of linear's output */
    size_t V, P;    /* symbols, and rows of wte in memory */
    bool bias;
    enum gelu_kind gelu;
    double p;                      /* of dropout; 0 for none */
    uint64_t first_row;            /* of dropout */
    bool large;                    /* a pass is expensive: a few directions and coordinates stand for all */
    unsigned faults;               /* mistakes.h: read by the plain operations alone */
    const uint32_t *ids, *targets; /* (N), below V: the caller's */
};

/* The random bits that every case with dropout draws from. */
enum { OP_DROPOUT_SEED = 20240229, OP_DROPOUT_STEP = 7, OP_LAYER = 3 };

extern const struct op_info op_info[OPS];

/* The operation of this name, or OPS. */
enum op op_find(const char *name);

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
