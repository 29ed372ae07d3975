/* ops.c: the operations' tensors, in the order of their C signatures' roles: outputs, saved, inputs, parameters, scratch. */
#include "model/check/ops.h"
#include "model/loss.h"
#include <string.h>

#define X(name, shape)                                                                             \
    {                                                                                              \
        name, ROLE_INPUT, shape, false                                                             \
    }
#define PARAM(name, shape)                                                                         \
    {                                                                                              \
        name, ROLE_PARAMETER, shape, false                                                         \
    }
#define BIAS(name, shape)                                                                          \
    {                                                                                              \
        name, ROLE_PARAMETER, shape, true                                                          \
    }
#define Y(name, shape)                                                                             \
    {                                                                                              \
        name, ROLE_OUTPUT, shape, false                                                            \
    }
#define SAVED(name, shape)                                                                         \
    {                                                                                              \
        name, ROLE_SAVED, shape, false                                                             \
    }
#define WORK(name, shape)                                                                          \
    {                                                                                              \
        name, ROLE_SCRATCH, shape, false                                                           \
    }

const struct op_info op_info[OPS] = {
    [OP_EMBEDDING] = {"embedding", 3, {Y("x", "B T C"), PARAM("wte", "V C"), PARAM("wpe", "T C")}},
    [OP_LINEAR] = {"linear",
                   4,
                   {Y("y", "N O"), X("x", "N C"), PARAM("w", "C O"), BIAS("bias", "O")}},
    [OP_LAYERNORM] = {"layernorm",
                      6,
                      {Y("y", "N C"), SAVED("mean", "N"), SAVED("rstd", "N"), X("x", "N C"),
                       PARAM("gain", "C"), BIAS("bias", "C")}},
    [OP_GELU_TANH] = {"gelu_tanh", 2, {Y("y", "N C"), X("x", "N C")}},
    [OP_GELU_ERF] = {"gelu_erf", 2, {Y("y", "N C"), X("x", "N C")}},
    [OP_SOFTMAX] = {"softmax", 2, {Y("p", "N C"), X("x", "N C")}},
    [OP_DROPOUT] = {"dropout", 2, {Y("y", "N C"), X("x", "N C")}},
    [OP_RESIDUAL] = {"residual", 3, {Y("y", "N C"), X("x", "N C"), X("branch", "N C")}},
    [OP_ATTENTION] = {"attention", 3, {Y("y", "B T C"), SAVED("lse", "B H T"), X("qkv", "B T 3C")}},
    [OP_MLP] = {"mlp",
                10,
                {Y("y", "N C"), SAVED("fc", "N 4C"), SAVED("act", "N 4C"), X("x", "N C"),
                 PARAM("w_fc", "C 4C"), BIAS("b_fc", "4C"), PARAM("w_proj", "4C C"),
                 BIAS("b_proj", "C"), WORK("dfc", "N 4C"), WORK("dact", "N 4C")}},
    [OP_LOSS] = {"loss",
                 4,
                 {Y("losses", "N"), X("x", "N C"), PARAM("wte", "P C"), WORK("logits", "L P")}},
    [OP_BLOCK] = {"block",
                  34,
                  {Y("out", "N C"),
                   SAVED("ln_1", "N C"),
                   SAVED("ln_1_mean", "N"),
                   SAVED("ln_1_rstd", "N"),
                   SAVED("qkv", "N 3C"),
                   SAVED("att", "N C"),
                   SAVED("lse", "B H T"),
                   SAVED("mid", "N C"),
                   SAVED("ln_2", "N C"),
                   SAVED("ln_2_mean", "N"),
                   SAVED("ln_2_rstd", "N"),
                   SAVED("fc", "N 4C"),
                   SAVED("act", "N 4C"),
                   X("x", "N C"),
                   PARAM("ln_1.weight", "C"),
                   BIAS("ln_1.bias", "C"),
                   PARAM("attn.c_attn.weight", "C 3C"),
                   BIAS("attn.c_attn.bias", "3C"),
                   PARAM("attn.c_proj.weight", "C C"),
                   BIAS("attn.c_proj.bias", "C"),
                   PARAM("ln_2.weight", "C"),
                   BIAS("ln_2.bias", "C"),
                   PARAM("mlp.c_fc.weight", "C 4C"),
                   BIAS("mlp.c_fc.bias", "4C"),
                   PARAM("mlp.c_proj.weight", "4C C"),
                   BIAS("mlp.c_proj.bias", "C"),
                   WORK("branch", "N C"),
                   WORK("dmid", "N C"),
                   WORK("dbranch", "N C"),
                   WORK("dln", "N C"),
                   WORK("datt", "N C"),
                   WORK("dqkv", "N 3C"),
                   WORK("dfc", "N 4C"),
                   WORK("dact", "N 4C")}},
};

enum op op_find(const char *name)
{
    enum op op = 0;
    while (op < OPS && strcmp(op_info[op].name, name))
        op++;
    return op;
}

void op_argument(char name[OP_NAME_MAX], const struct op_tensor *t)
{
    size_t i = 0;
    for (; t->name[i] && i + 1 < OP_NAME_MAX; i++)
        name[i] = t->name[i] == '.' ? '_' : t->name[i];
    name[i] = '\0';
}

static size_t size_of(char letter, const struct op_case *c)
{
    switch (letter) {
    case 'B':
        return c->B;
    case 'T':
        return c->T;
    case 'N':
        return c->B * c->T;
    case 'C':
        return c->C;
    case 'H':
        return c->H;
    case 'O':
        return c->O;
    case 'V':
        return c->V;
    case 'P':
        return c->P;
    case 'L':
        return loss_chunk(c->B * c->T, c->P);
    default:
        return 0;
    }
}

int op_shape(size_t shape[3], const struct op_tensor *t, const struct op_case *c)
{
    if (t->is_bias && !c->bias)
        return 0;
    int n = 0;
    size_t factor = 1;
    for (const char *s = t->shape; *s; s++) {
        if (*s >= '0' && *s <= '9') {
            factor = (size_t)(*s - '0');
        } else if (*s != ' ') {
            shape[n++] = factor * size_of(*s, c);
            factor = 1;
        }
    }
    return n;
}

size_t op_size(const struct op_tensor *t, const struct op_case *c)
{
    size_t shape[3], n = 1;
    const int ndim = op_shape(shape, t, c);
    for (int i = 0; i < ndim; i++)
        n *= shape[i];
    return ndim ? n : 0;
}
