/* optable.c: the callers. Each takes an operation's arguments, in the order of its header, from the array of tensors. */
#include "optable.h"
#include "attention.h"
#include "block.h"
#include "embedding.h"
#include "gelu.h"
#include "layernorm.h"
#include "linear.h"
#include "loss.h"
#include "mlp.h"
#include "residual.h"
#include "softmax.h"
#include "zero.h"

#define FORWARD(op)  static void call_##op(op_function *f, void *const *x, const struct op_case *c)
#define BACKWARD(op) static void call_##op(op_function *f, void *const *dx, void *const *x, const struct op_case *c)
#define AS(function) ((typeof(function) *)f)

static size_t rows(const struct op_case *c)
{
    return c->B * c->T;
}

static struct dropout dropout_of(const struct op_case *c)
{
    return (struct dropout){.p = c->p, .seed = OP_DROPOUT_SEED, .step = OP_DROPOUT_STEP, .first_row = c->first_row};
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
    AS(residual_backward)(dx[1], dx[2], dx[0], rows(c), c->T, c->C, &d, 4 * OP_LAYER + DROP_MLP_OUTPUT);
}

FORWARD(attention_forward)
{
    const struct dropout d = dropout_of(c);
    AS(attention_forward)(x[0], x[1], x[2], c->B, c->T, c->C, c->H, c->p > 0 ? &d : NULL, 4 * OP_LAYER + DROP_ATTENTION);
}

BACKWARD(attention_backward)
{
    const struct dropout d = dropout_of(c);
    AS(attention_backward)
    (dx[2], dx[0], x[2], x[0], x[1], c->B, c->T, c->C, c->H, c->p > 0 ? &d : NULL, 4 * OP_LAYER + DROP_ATTENTION);
}

FORWARD(mlp_forward)
{
    AS(mlp_forward)(x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], rows(c), c->C, c->gelu);
}

BACKWARD(mlp_backward)
{
    AS(mlp_backward)(dx[3], dx[4], dx[5], dx[6], dx[7], x[8], x[9], dx[0], x[1], x[2], x[3], x[4], x[6], rows(c), c->C, c->gelu);
}

FORWARD(loss_forward)
{
    AS(loss_forward)(x[0], x[3], x[1], x[2], c->targets, rows(c), c->C, c->V, c->P);
}

/* Writes the losses once more: the checker sees whether they are the forward's. */
BACKWARD(loss_backward)
{
    AS(loss_backward)(dx[1], dx[2], x[0], x[3], dx[0], x[1], x[2], c->targets, rows(c), c->C, c->V, c->P);
}

/* A block's tensors as its own structures: the layer's parameters stand in op_info in the order of enum tensor_kind. */
enum { BLOCK_X = 13, BLOCK_PARAMETERS = 14, BLOCK_SCRATCH = 26, BLOCK_STREAM = 30 };

static struct block_activations activations_of(void *const *x)
{
    return (struct block_activations){.out = x[0],
                                      .ln_1 = x[1],
                                      .ln_1_mean = x[2],
                                      .ln_1_rstd = x[3],
                                      .qkv = x[4],
                                      .att = x[5],
                                      .lse = x[6],
                                      .mid = x[7],
                                      .ln_2 = x[8],
                                      .ln_2_mean = x[9],
                                      .ln_2_rstd = x[10],
                                      .fc = x[11],
                                      .act = x[12]};
}

static struct block_scratch scratch_of(void *const *x)
{
    void *const *s = x + BLOCK_SCRATCH;
    return (struct block_scratch){.branch = s[0], .wide = s[1], .wide2 = s[2], .narrow = s[3]};
}

static struct model_config config_of(const struct op_case *c)
{
    return (struct model_config){.n_layer = OP_LAYER + 1,
                                 .n_head = c->H,
                                 .n_embd = c->C,
                                 .block_size = c->T,
                                 .vocab_size = 1,
                                 .padded_vocab_size = 1,
                                 .bias = c->bias,
                                 .gelu = c->gelu,
                                 .dropout = c->p};
}

static void parameters_of(real *w[TENSOR_KINDS], void *const *x)
{
    for (int k = 0; k < TENSOR_KINDS; k++)
        w[k] = k >= LN_1_WEIGHT && k <= MLP_C_PROJ_BIAS ? x[BLOCK_PARAMETERS + k - LN_1_WEIGHT] : NULL;
}

FORWARD(block_forward)
{
    struct block_activations a = activations_of(x);
    const struct block_scratch s = scratch_of(x);
    const struct model_config config = config_of(c);
    const struct dropout d = dropout_of(c);
    real *w[TENSOR_KINDS];
    parameters_of(w, x);
    AS(block_forward)(&a, &s, x[BLOCK_X], w, c->B, c->T, &config, &d, OP_LAYER);
}

/* block_backward turns the output's gradient into the input's in place; here, as for every operation, the one is kept and the
 * other added. */
BACKWARD(block_backward)
{
    const struct block_activations a = activations_of(x);
    const struct block_scratch s = scratch_of(x);
    const struct model_config config = config_of(c);
    const struct dropout d = dropout_of(c);
    real *w[TENSOR_KINDS], *dw[TENSOR_KINDS], *dstream = x[BLOCK_STREAM], *dinput = dx[BLOCK_X];
    const real *doutput = dx[0];
    parameters_of(w, x);
    parameters_of(dw, dx);
    for (size_t i = 0; i < rows(c) * c->C; i++)
        dstream[i] = doutput[i];
    AS(block_backward)(dstream, dw, &s, &a, x[BLOCK_X], w, c->B, c->T, &config, &d, OP_LAYER);
    for (size_t i = 0; i < rows(c) * c->C; i++)
        dinput[i] += dstream[i];
}

#define CODE(op, f, b)                                                                                                           \
    {                                                                                                                            \
        (op_function *)f, (op_function *)b, call_##op##_forward, call_##op##_backward                                            \
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
