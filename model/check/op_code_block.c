/* op_code_block.c: the callers of a block: of model/block.h's, which takes structures, and of one with the signature of the
 * installed header, where every pointer is an argument of its own. */
#include "model/check/op_code.h"
#include "model/dropout.h"
#include "model/real.h"
#include "model/tensors.h"

#include "include/handgrad_op.h"
typedef typeof(block_forward) flat_forward;
typedef typeof(block_backward) flat_backward;

#include "model/check/op_code_block.h"

/* Places in op_info; the parameters stand there in the order of enum tensor_kind. */
enum {
    OUT,
    LN_1,
    LN_1_MEAN,
    LN_1_RSTD,
    QKV,
    ATT,
    LSE,
    MID,
    LN_2,
    LN_2_MEAN,
    LN_2_RSTD,
    FC,
    ACT,
    X,
    PARAMETERS
};
enum {
    BRANCH = PARAMETERS + MLP_C_PROJ_BIAS - LN_1_WEIGHT + 1,
    DMID,
    DBRANCH,
    DLN,
    DATT,
    DQKV,
    DFC,
    DACT
};
#define AT(kind) (PARAMETERS + (kind)-LN_1_WEIGHT)

static struct dropout dropout_of(const struct op_case *c)
{
    return (struct dropout){
        .p = c->p, .seed = OP_DROPOUT_SEED, .step = OP_DROPOUT_STEP, .first_row = c->first_row};
}

/* --- structures --- */

static struct block_activations activations_of(void *const *x)
{
    return (struct block_activations){.out = x[OUT],
                                      .ln_1 = x[LN_1],
                                      .ln_1_mean = x[LN_1_MEAN],
                                      .ln_1_rstd = x[LN_1_RSTD],
                                      .qkv = x[QKV],
                                      .att = x[ATT],
                                      .lse = x[LSE],
                                      .mid = x[MID],
                                      .ln_2 = x[LN_2],
                                      .ln_2_mean = x[LN_2_MEAN],
                                      .ln_2_rstd = x[LN_2_RSTD],
                                      .fc = x[FC],
                                      .act = x[ACT]};
}

static struct block_scratch scratch_of(void *const *x)
{
    return (struct block_scratch){
        .branch = x[BRANCH], .wide = x[DFC], .wide2 = x[DACT], .narrow = x[DLN]};
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
        w[k] = k >= LN_1_WEIGHT && k <= MLP_C_PROJ_BIAS ? x[AT(k)] : NULL;
}

void call_block_forward(op_function *f, void *const *x, const struct op_case *c)
{
    struct block_activations a = activations_of(x);
    const struct block_scratch s = scratch_of(x);
    const struct model_config config = config_of(c);
    const struct dropout d = dropout_of(c);
    real *w[TENSOR_KINDS];
    parameters_of(w, x);
    ((typeof(block_forward) *)f)(&a, &s, x[X], c->start, w, c->B, c->T, &config, &d, OP_LAYER);
}

/* block_backward turns the output's gradient into the input's in place; here, as for every operation, the one is kept and the
 * other added. */
void call_block_backward(op_function *f, void *const *dx, void *const *x, const struct op_case *c)
{
    const struct block_activations a = activations_of(x);
    const struct block_scratch s = scratch_of(x);
    const struct model_config config = config_of(c);
    const struct dropout d = dropout_of(c);
    real *w[TENSOR_KINDS], *dw[TENSOR_KINDS], *dstream = x[DMID], *dinput = dx[X];
    const real *doutput = dx[OUT];
    const size_t n = c->B * c->T * c->C;
    parameters_of(w, x);
    parameters_of(dw, dx);
    for (size_t i = 0; i < n; i++)
        dstream[i] = doutput[i];
    ((typeof(block_backward) *)f)(dstream, dw, &s, &a, x[X], c->start, w, c->B, c->T, &config, &d,
                                  OP_LAYER);
    for (size_t i = 0; i < n; i++)
        dinput[i] += dstream[i];
}

/* --- flat --- */

static void call_flat_forward(op_function *f, void *const *x, const struct op_case *c)
{
    const struct dropout d = dropout_of(c);
    ((flat_forward *)f)(x[OUT], x[LN_1], x[LN_1_MEAN], x[LN_1_RSTD], x[QKV], x[ATT], x[LSE], x[MID],
                        x[LN_2], x[LN_2_MEAN], x[LN_2_RSTD], x[FC], x[ACT], x[BRANCH], x[X],
                        x[AT(LN_1_WEIGHT)], x[AT(LN_1_BIAS)], x[AT(C_ATTN_WEIGHT)],
                        x[AT(C_ATTN_BIAS)], x[AT(ATTN_C_PROJ_WEIGHT)], x[AT(ATTN_C_PROJ_BIAS)],
                        x[AT(LN_2_WEIGHT)], x[AT(LN_2_BIAS)], x[AT(C_FC_WEIGHT)], x[AT(C_FC_BIAS)],
                        x[AT(MLP_C_PROJ_WEIGHT)], x[AT(MLP_C_PROJ_BIAS)], c->start, c->B, c->T,
                        c->C, c->H, c->gelu, &d, OP_LAYER);
}

static void call_flat_backward(op_function *f, void *const *dx, void *const *x,
                               const struct op_case *c)
{
    const struct dropout d = dropout_of(c);
    ((flat_backward *)f)(
        dx[X], dx[AT(LN_1_WEIGHT)], dx[AT(LN_1_BIAS)], dx[AT(C_ATTN_WEIGHT)], dx[AT(C_ATTN_BIAS)],
        dx[AT(ATTN_C_PROJ_WEIGHT)], dx[AT(ATTN_C_PROJ_BIAS)], dx[AT(LN_2_WEIGHT)],
        dx[AT(LN_2_BIAS)], dx[AT(C_FC_WEIGHT)], dx[AT(C_FC_BIAS)], dx[AT(MLP_C_PROJ_WEIGHT)],
        dx[AT(MLP_C_PROJ_BIAS)], x[DMID], x[DBRANCH], x[DLN], x[DATT], x[DQKV], x[DFC], x[DACT],
        dx[OUT], x[LN_1], x[LN_1_MEAN], x[LN_1_RSTD], x[QKV], x[ATT], x[LSE], x[MID], x[LN_2],
        x[LN_2_MEAN], x[LN_2_RSTD], x[FC], x[ACT], x[X], x[AT(LN_1_WEIGHT)], x[AT(C_ATTN_WEIGHT)],
        x[AT(ATTN_C_PROJ_WEIGHT)], x[AT(LN_2_WEIGHT)], x[AT(C_FC_WEIGHT)], x[AT(MLP_C_PROJ_WEIGHT)],
        c->start, c->B, c->T, c->C, c->H, c->gelu, &d, OP_LAYER);
}

const struct op_code NAME(block_flat) = {NULL, NULL, call_flat_forward, call_flat_backward};
