/* op_code.c: the callers. Each takes an operation's arguments, in the order of its header, from the array of tensors. */
#include "model/check/op_code.h"
#include "model/attention.h"
#include "model/embedding.h"
#include "model/gelu.h"
#include "model/layernorm.h"
#include "model/linear.h"
#include "model/loss.h"
#include "model/mlp.h"
#include "model/real.h"
#include "model/residual.h"
#include "model/softmax.h"

/* The installed header declares the same signatures, but for the block's: a difference does not compile. */
#include "include/handgrad_op.h"

#include "model/check/op_code_block.h"

#define FORWARD(op) static void call_##op(op_function *f, void *const *x, const struct op_case *c)
#define BACKWARD(op)                                                                               \
    static void call_##op(op_function *f, void *const *dx, void *const *x, const struct op_case *c)
#define AS(function) ((typeof(function) *)f)

static size_t rows(const struct op_case *c)
{
    return c->B * c->T;
}

static struct dropout dropout_of(const struct op_case *c)
{
    return (struct dropout){
        .p = c->p, .seed = OP_DROPOUT_SEED, .step = OP_DROPOUT_STEP, .first_row = c->first_row};
}

FORWARD(embedding_forward)
{
    AS(embedding_forward)(x[0], c->ids, x[1], x[2], 0, c->B, c->T, c->C);
}

BACKWARD(embedding_backward)
{
    (void)x;
    AS(embedding_backward)(dx[1], dx[2], dx[0], c->ids, c->B, c->T, c->C);
}

FORWARD(linear_forward)
{
    AS(linear_forward)(x[0], x[1], x[2], x[3], rows(c), c->C, c->O);
}

BACKWARD(linear_backward)
{
    AS(linear_backward)(dx[1], dx[2], dx[3], dx[0], x[1], x[2], rows(c), c->C, c->O);
}

FORWARD(layernorm_forward)
{
    AS(layernorm_forward)(x[0], x[1], x[2], x[3], x[4], x[5], rows(c), c->C);
}

BACKWARD(layernorm_backward)
{
    AS(layernorm_backward)(dx[3], dx[4], dx[5], dx[0], x[3], x[1], x[2], x[4], rows(c), c->C);
}

FORWARD(gelu_tanh_forward)
{
    AS(gelu_forward)(x[0], x[1], rows(c) * c->C, GELU_TANH);
}

BACKWARD(gelu_tanh_backward)
{
    AS(gelu_backward)(dx[1], dx[0], x[1], rows(c) * c->C, GELU_TANH);
}

FORWARD(gelu_erf_forward)
{
    AS(gelu_forward)(x[0], x[1], rows(c) * c->C, GELU_ERF);
}

BACKWARD(gelu_erf_backward)
{
    AS(gelu_backward)(dx[1], dx[0], x[1], rows(c) * c->C, GELU_ERF);
}

FORWARD(softmax_forward)
{
    AS(softmax_forward)(x[0], x[1], rows(c), c->C);
}

BACKWARD(softmax_backward)
{
    AS(softmax_backward)(dx[1], dx[0], x[0], rows(c), c->C);
}

FORWARD(dropout_forward)
{
    const struct dropout d = dropout_of(c);
    AS(dropout_forward)(x[0], x[1], rows(c), c->T, c->C, &d, 4 * OP_LAYER + DROP_EMBEDDING);
}

BACKWARD(dropout_backward)
{
    (void)x;
    const struct dropout d = dropout_of(c);
    AS(dropout_backward)(dx[1], dx[0], rows(c), c->T, c->C, &d, 4 * OP_LAYER + DROP_EMBEDDING);
}

FORWARD(residual_forward)
{
    const struct dropout d = dropout_of(c);
    AS(residual_forward)(x[0], x[1], x[2], rows(c), c->T, c->C, &d, 4 * OP_LAYER + DROP_MLP_OUTPUT);
}

BACKWARD(residual_backward)
{
    (void)x;
    const struct dropout d = dropout_of(c);
    AS(residual_backward)
    (dx[1], dx[2], dx[0], rows(c), c->T, c->C, &d, 4 * OP_LAYER + DROP_MLP_OUTPUT);
}

FORWARD(attention_forward)
{
    const struct dropout d = dropout_of(c);
    AS(attention_forward)
    (x[0], x[1], x[2], c->start, c->B, c->T, c->C, c->H, c->p > 0 ? &d : NULL,
     4 * OP_LAYER + DROP_ATTENTION);
}

BACKWARD(attention_backward)
{
    const struct dropout d = dropout_of(c);
    AS(attention_backward)
    (dx[2], dx[0], x[2], x[0], x[1], c->start, c->B, c->T, c->C, c->H, c->p > 0 ? &d : NULL,
     4 * OP_LAYER + DROP_ATTENTION);
}

FORWARD(mlp_forward)
{
    AS(mlp_forward)(x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], rows(c), c->C, c->gelu);
}

BACKWARD(mlp_backward)
{
    AS(mlp_backward)
    (dx[3], dx[4], dx[5], dx[6], dx[7], x[8], x[9], dx[0], x[1], x[2], x[3], x[4], x[6], rows(c),
     c->C, c->gelu);
}

FORWARD(loss_forward)
{
    AS(loss_forward)(x[0], x[3], x[1], x[2], c->targets, rows(c), c->C, c->V, c->P);
}

/* Writes the losses once more: the checker sees whether they are the forward's. */
BACKWARD(loss_backward)
{
    AS(loss_backward)
    (dx[1], dx[2], x[0], x[3], dx[0], x[1], x[2], c->targets, rows(c), c->C, c->V, c->P);
}

#define CODE(op, f, b)                                                                             \
    {                                                                                              \
        (op_function *)f, (op_function *)b, call_##op##_forward, call_##op##_backward              \
    }

const struct op_code NAME(optable)[OPS] = {
    [OP_EMBEDDING] = CODE(embedding, embedding_forward, embedding_backward),
    [OP_LINEAR] = CODE(linear, linear_forward, linear_backward),
    [OP_LAYERNORM] = CODE(layernorm, layernorm_forward, layernorm_backward),
    [OP_GELU_TANH] = CODE(gelu_tanh, gelu_forward, gelu_backward),
    [OP_GELU_ERF] = CODE(gelu_erf, gelu_forward, gelu_backward),
    [OP_SOFTMAX] = CODE(softmax, softmax_forward, softmax_backward),
    [OP_DROPOUT] = CODE(dropout, dropout_forward, dropout_backward),
    [OP_RESIDUAL] = CODE(residual, residual_forward, residual_backward),
    [OP_ATTENTION] = CODE(attention, attention_forward, attention_backward),
    [OP_MLP] = CODE(mlp, mlp_forward, mlp_backward),
    [OP_LOSS] = CODE(loss, loss_forward, loss_backward),
    [OP_BLOCK] = CODE(block, block_forward, block_backward),
};
