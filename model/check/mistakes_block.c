/* mistakes_block.c: a plain block, put together from the plain operations, with its mistakes and theirs: see mistakes.h. */
#include "model/check/mistakes_plain.h"
#include "model/dropout.h"
#include "model/real.h"
#include "model/zero.h"
#include <string.h>

#define MADE(fault) (c->faults & (fault))

/* Places of op_info[OP_BLOCK]. */
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
    W
};
enum { BRANCH = W + MLP_C_PROJ_BIAS - LN_1_WEIGHT + 1, DMID, DBRANCH, DLN, DATT, DQKV, DFC, DACT };
#define AT(kind) (W + (kind)-LN_1_WEIGHT)

/* The plain version of a part, with its own width of output, mask and mistakes. */
static struct op_case part_case(const struct op_case *c, enum op_part part, size_t O, uint32_t site)
{
    struct op_case p = *c;
    p.O = O;
    p.site = site;
    p.faults = c->part_faults[part];
    return p;
}

static void forward(enum op_part part, void *const *x, const struct op_case *c, size_t O,
                    uint32_t site)
{
    const struct op_case p = part_case(c, part, O, site);
    NAME(plain)[op_part_info[part].op].call_forward(NULL, x, &p);
}

static void backward(enum op_part part, void *const *dx, void *const *x, const struct op_case *c,
                     size_t O, uint32_t site)
{
    const struct op_case p = part_case(c, part, O, site);
    NAME(plain)[op_part_info[part].op].call_backward(NULL, dx, x, &p);
}

void plain_block_forward(op_function *f, void *const *x, const struct op_case *c)
{
    (void)f;
    forward(
        PART_LN_1,
        (void *[]){x[LN_1], x[LN_1_MEAN], x[LN_1_RSTD], x[X], x[AT(LN_1_WEIGHT)], x[AT(LN_1_BIAS)]},
        c, 0, 0);
    forward(PART_C_ATTN, (void *[]){x[QKV], x[LN_1], x[AT(C_ATTN_WEIGHT)], x[AT(C_ATTN_BIAS)]}, c,
            3 * c->C, 0);
    forward(PART_ATTENTION, (void *[]){x[ATT], x[LSE], x[QKV]}, c, 0, 0);
    forward(PART_ATTN_C_PROJ,
            (void *[]){x[BRANCH], x[ATT], x[AT(ATTN_C_PROJ_WEIGHT)], x[AT(ATTN_C_PROJ_BIAS)]}, c,
            c->C, 0);
    forward(PART_ATTN_RESIDUAL, (void *[]){x[MID], x[X], x[BRANCH]}, c, 0, DROP_ATTENTION_OUTPUT);
    forward(PART_LN_2,
            (void *[]){x[LN_2], x[LN_2_MEAN], x[LN_2_RSTD], x[MID], x[AT(LN_2_WEIGHT)],
                       x[AT(LN_2_BIAS)]},
            c, 0, 0);
    forward(PART_MLP,
            (void *[]){x[BRANCH], x[FC], x[ACT], x[LN_2], x[AT(C_FC_WEIGHT)], x[AT(C_FC_BIAS)],
                       x[AT(MLP_C_PROJ_WEIGHT)], x[AT(MLP_C_PROJ_BIAS)]},
            c, 0, 0);
    forward(PART_MLP_RESIDUAL, (void *[]){x[OUT], x[MID], x[BRANCH]}, c, 0, DROP_MLP_OUTPUT);
}

/* From dmid, the gradient after a residual line, to that before it; and the branch's, in dbranch. */
static void join_backward(void *const *x, const struct op_case *c, enum op_part residual,
                          enum op_part dropout, uint32_t site)
{
    const size_t n = c->B * c->T * c->C;
    real *dskip = x[DLN]; /* free at this point */
    zero(dskip, n);
    zero(x[DBRANCH], n);
    backward(residual, (void *[]){x[DMID], dskip, x[DBRANCH]}, NULL, c, 0, site);
    if (c->part_faults[dropout]) {
        zero(x[DBRANCH], n);
        backward(dropout, (void *[]){x[DMID], x[DBRANCH]}, NULL, c, 0, site);
    }
    memcpy(x[DMID], dskip, n * sizeof *dskip);
}

static void mlp_half(void *const *dx, void *const *x, const struct op_case *c)
{
    const size_t n = c->B * c->T * c->C;
    join_backward(x, c, PART_MLP_RESIDUAL, PART_MLP_DROPOUT, DROP_MLP_OUTPUT);
    zero(x[DLN], n);
    backward(PART_MLP,
             (void *[]){x[DBRANCH], NULL, NULL, x[DLN], dx[AT(C_FC_WEIGHT)], dx[AT(C_FC_BIAS)],
                        dx[AT(MLP_C_PROJ_WEIGHT)], dx[AT(MLP_C_PROJ_BIAS)]},
             (void *[]){NULL, x[FC], x[ACT], x[LN_2], x[AT(C_FC_WEIGHT)], NULL,
                        x[AT(MLP_C_PROJ_WEIGHT)], NULL, x[DFC], x[DACT]},
             c, 0, 0);
    if (MADE(BLOCK_MLP_SKIP_LOST))
        zero(x[DMID], n);
    backward(PART_LN_2,
             (void *[]){x[DLN], NULL, NULL, x[DMID], dx[AT(LN_2_WEIGHT)], dx[AT(LN_2_BIAS)]},
             (void *[]){NULL, x[LN_2_MEAN], x[LN_2_RSTD],
                        x[MADE(BLOCK_LAYERNORM_OF_OUTPUT) ? LN_2 : MID], x[AT(LN_2_WEIGHT)]},
             c, 0, 0);
}

static void attention_half(void *const *dx, void *const *x, const struct op_case *c)
{
    const size_t n = c->B * c->T * c->C;
    join_backward(x, c, PART_ATTN_RESIDUAL, PART_ATTN_DROPOUT,
                  MADE(BLOCK_OTHER_MASK) ? DROP_MLP_OUTPUT : DROP_ATTENTION_OUTPUT);
    zero(x[DATT], n);
    backward(PART_ATTN_C_PROJ,
             (void *[]){x[DBRANCH], x[DATT], dx[AT(ATTN_C_PROJ_WEIGHT)], dx[AT(ATTN_C_PROJ_BIAS)]},
             (void *[]){NULL, x[ATT], x[AT(ATTN_C_PROJ_WEIGHT)]}, c, c->C, 0);
    zero(x[DQKV], 3 * n);
    backward(PART_ATTENTION, (void *[]){x[DATT], NULL, x[DQKV]}, (void *[]){x[ATT], x[LSE], x[QKV]},
             c, 0, 0);
    zero(x[DLN], n);
    backward(PART_C_ATTN, (void *[]){x[DQKV], x[DLN], dx[AT(C_ATTN_WEIGHT)], dx[AT(C_ATTN_BIAS)]},
             (void *[]){NULL, x[LN_1], x[AT(C_ATTN_WEIGHT)]}, c, 3 * c->C, 0);
    if (MADE(BLOCK_ATTENTION_SKIP_LOST))
        zero(x[DMID], n);
    backward(PART_LN_1,
             (void *[]){x[DLN], NULL, NULL, x[DMID], dx[AT(LN_1_WEIGHT)], dx[AT(LN_1_BIAS)]},
             (void *[]){NULL, x[LN_1_MEAN], x[LN_1_RSTD], x[X], x[AT(LN_1_WEIGHT)]}, c, 0, 0);
}

void plain_block_backward(op_function *f, void *const *dx, void *const *x, const struct op_case *c)
{
    (void)f;
    const size_t n = c->B * c->T * c->C;
    real *dmid = x[DMID], *din = dx[X];
    memcpy(dmid, dx[OUT], n * sizeof *dmid);
    mlp_half(dx, x, c);
    attention_half(dx, x, c);
    for (size_t i = 0; i < n; i++)
        din[i] += dmid[i];
}
