/* mistakes_compose.c: plain MLP, loss and block, put together from the plain operations, with their mistakes: see mistakes.h. */
#include "dropout.h"
#include "mistakes_plain.h"
#include "zero.h"
#include <string.h>

#define MADE(fault) (c->faults & (fault))

/* The plain version of an operation, as part of another. */
static void forward(enum op op, void *const *x, const struct op_case *c)
{
    NAME(plain)[op].call_forward(NULL, x, c);
}

static void backward(enum op op, void *const *dx, void *const *x, const struct op_case *c)
{
    NAME(plain)[op].call_backward(NULL, dx, x, c);
}

/* A part's case: other widths, no mistakes of its own. */
static struct op_case part(const struct op_case *c, size_t C, size_t O)
{
    struct op_case p = *c;
    p.C = C;
    p.O = O;
    p.faults = 0;
    return p;
}

/* --- mlp: y = gelu(x W_fc + b_fc) W_proj + b_proj --- */

static enum op gelu_op(const struct op_case *c)
{
    return c->gelu == GELU_ERF ? OP_GELU_ERF : OP_GELU_TANH;
}

void plain_mlp_forward(op_function *f, void *const *x, const struct op_case *c)
{
    (void)f;
    const struct op_case up = part(c, c->C, 4 * c->C), down = part(c, 4 * c->C, c->C);
    forward(OP_LINEAR, (void *[]){x[1], x[3], x[4], x[5]}, &up);
    forward(gelu_op(c), (void *[]){x[2], x[1]}, &down);
    forward(OP_LINEAR, (void *[]){x[0], x[2], x[6], x[7]}, &down);
}

void plain_mlp_backward(op_function *f, void *const *dx, void *const *x, const struct op_case *c)
{
    (void)f;
    const struct op_case up = part(c, c->C, 4 * c->C), down = part(c, 4 * c->C, c->C);
    real *dfc = x[8], *dact = x[9];
    const size_t n = c->B * c->T * 4 * c->C;
    zero(dfc, n);
    if (!MADE(MLP_STALE))
        zero(dact, n);
    backward(OP_LINEAR, (void *[]){dx[0], dact, dx[6], dx[7]}, (void *[]){x[0], x[2], x[6], x[7]}, &down);
    backward(gelu_op(c), (void *[]){dact, dfc}, (void *[]){x[2], MADE(MLP_GELU_OF_ACT) ? x[2] : x[1]}, &down);
    if (MADE(MLP_GELU_SKIPPED))
        memcpy(dfc, dact, n * sizeof *dfc);
    backward(OP_LINEAR, (void *[]){dfc, dx[3], dx[4], MADE(MLP_BIAS_OF_DACT) ? NULL : dx[5]}, (void *[]){x[1], x[3], x[4], x[5]},
             &up);
    real *db_fc = dx[5];
    for (size_t i = 0; MADE(MLP_BIAS_OF_DACT) && db_fc && i < n; i++)
        db_fc[i % (4 * c->C)] += dact[i];
}

/* --- loss: -log softmax(x wte^T)[target] --- */

static size_t symbols(const struct op_case *c)
{
    return MADE(LOSS_PADDING_COUNTS | LOSS_PADDING_COUNTS_BOTH) ? c->P : c->V;
}

/* z (P): logits of token n; returns their log-sum-exp over the first `count`. */
static real row_logits(real *z, const real *x, const real *wte, const struct op_case *c, size_t count)
{
    real m = 0;
    for (size_t v = 0; v < c->P; v++) {
        acc dot = 0;
        for (size_t i = 0; i < c->C; i++)
            dot += (acc)x[i] * wte[v * c->C + i];
        z[v] = (real)dot;
        m = v == 0 || real_part(z[v]) > real_part(m) ? real_part(z[v]) : m;
    }
    acc sum = 0;
    for (size_t v = 0; v < count; v++)
        sum += real_exp(z[v] - m);
    return m + real_log((real)sum);
}

void plain_loss_forward(op_function *f, void *const *x, const struct op_case *c)
{
    (void)f;
    real *losses = x[0], *z = x[3];
    const real *in = x[1];
    for (size_t n = 0; n < c->B * c->T; n++)
        losses[n] = row_logits(z, in + n * c->C, x[2], c, symbols(c)) - z[c->targets[n]];
}

void plain_loss_backward(op_function *f, void *const *dx, void *const *x, const struct op_case *c)
{
    (void)f;
    const size_t N = c->B * c->T, C = c->C;
    const real *in = x[1], *wte = x[2], *dlosses = dx[0];
    real *z = x[3], *din = dx[1], *dwte = dx[2];
    const size_t V = MADE(LOSS_PADDING_COUNTS_BOTH) ? c->P : c->V;
    for (size_t i = 0; MADE(LOSS_DWTE_ASSIGNED) && i < c->P * C; i++)
        dwte[i] = 0;
    for (size_t n = 0; n < N; n++) {
        const real lse = row_logits(z, in + n * C, wte, c, V), dloss = MADE(LOSS_UPSTREAM_IGNORED) ? 1 : dlosses[n];
        const uint32_t target = MADE(LOSS_TARGET_SHIFTED) ? c->targets[(n + 1) % N] : c->targets[n];
        for (size_t v = 0; v < V; v++) {
            const real hit = v == target && !MADE(LOSS_TARGET_FORGOTTEN) ? 1 : 0;
            const real dz = dloss * (MADE(LOSS_SIGN) ? hit - real_exp(z[v] - lse) : real_exp(z[v] - lse) - hit);
            for (size_t i = 0; i < C; i++) {
                din[n * C + i] += dz * wte[v * C + i];
                dwte[v * C + i] += dz * in[n * C + i];
            }
        }
    }
}

/* --- block: mid = x + attention branch, out = mid + MLP branch --- */

/* Places of op_info[OP_BLOCK]. */
enum { OUT, LN_1, LN_1_MEAN, LN_1_RSTD, QKV, ATT, LSE, MID, LN_2, LN_2_MEAN, LN_2_RSTD, FC, ACT, X, W };
enum { BRANCH = 26, WIDE, WIDE_2, NARROW, STREAM };
#define AT(kind) (W + (kind)-LN_1_WEIGHT)

/* y = x + branch, with the mask of a site: the plain residual knows that of the MLP's output alone. */
static void add_branch(real *y, const real *x, const real *branch, const struct op_case *c, uint32_t site)
{
    const struct dropout d = {c->p, OP_DROPOUT_SEED, OP_DROPOUT_STEP, c->first_row};
    for (size_t n = 0; n < c->B * c->T; n++)
        for (size_t i = 0; i < c->C; i++) {
            real mask[4] = {1, 1, 1, 1};
            if (c->p > 0)
                dropout_mask(mask, &d, 4 * OP_LAYER + site, c->first_row * c->T + n, i / 4 * 4, 4);
            y[n * c->C + i] = (x ? x[n * c->C + i] : 0) + branch[n * c->C + i] * mask[i % 4];
        }
}

void plain_block_forward(op_function *f, void *const *x, const struct op_case *c)
{
    (void)f;
    const struct op_case same = part(c, c->C, c->C), wide = part(c, c->C, 3 * c->C);
    forward(OP_LAYERNORM, (void *[]){x[LN_1], x[LN_1_MEAN], x[LN_1_RSTD], x[X], x[AT(LN_1_WEIGHT)], x[AT(LN_1_BIAS)]}, &same);
    forward(OP_LINEAR, (void *[]){x[QKV], x[LN_1], x[AT(C_ATTN_WEIGHT)], x[AT(C_ATTN_BIAS)]}, &wide);
    forward(OP_ATTENTION, (void *[]){x[ATT], x[LSE], x[QKV]}, &same);
    forward(OP_LINEAR, (void *[]){x[BRANCH], x[ATT], x[AT(ATTN_C_PROJ_WEIGHT)], x[AT(ATTN_C_PROJ_BIAS)]}, &same);
    add_branch(x[MID], x[X], x[BRANCH], c, DROP_ATTENTION_OUTPUT);
    forward(OP_LAYERNORM, (void *[]){x[LN_2], x[LN_2_MEAN], x[LN_2_RSTD], x[MID], x[AT(LN_2_WEIGHT)], x[AT(LN_2_BIAS)]}, &same);
    forward(OP_MLP,
            (void *[]){x[BRANCH], x[FC], x[ACT], x[LN_2], x[AT(C_FC_WEIGHT)], x[AT(C_FC_BIAS)], x[AT(MLP_C_PROJ_WEIGHT)],
                       x[AT(MLP_C_PROJ_BIAS)]},
            &same);
    add_branch(x[OUT], x[MID], x[BRANCH], c, DROP_MLP_OUTPUT);
}

static void mlp_half(real *dstream, void *const *dx, void *const *x, const struct op_case *c)
{
    const struct op_case same = part(c, c->C, c->C);
    const size_t n = c->B * c->T * c->C;
    add_branch(x[BRANCH], NULL, dstream, c, DROP_MLP_OUTPUT);
    zero(x[NARROW], n);
    backward(
        OP_MLP,
        (void *[]){x[BRANCH], NULL, NULL, x[NARROW], dx[AT(C_FC_WEIGHT)], dx[AT(C_FC_BIAS)], dx[AT(MLP_C_PROJ_WEIGHT)],
                   dx[AT(MLP_C_PROJ_BIAS)]},
        (void *[]){NULL, x[FC], x[ACT], x[LN_2], x[AT(C_FC_WEIGHT)], NULL, x[AT(MLP_C_PROJ_WEIGHT)], NULL, x[WIDE], x[WIDE_2]},
        &same);
    if (MADE(BLOCK_MLP_SKIP_LOST))
        zero(dstream, n);
    backward(OP_LAYERNORM, (void *[]){x[NARROW], NULL, NULL, dstream, dx[AT(LN_2_WEIGHT)], dx[AT(LN_2_BIAS)]},
             (void *[]){NULL, x[LN_2_MEAN], x[LN_2_RSTD], x[MADE(BLOCK_LAYERNORM_OF_OUTPUT) ? LN_2 : MID], x[AT(LN_2_WEIGHT)]},
             &same);
}

static void attention_half(real *dstream, void *const *dx, void *const *x, const struct op_case *c)
{
    const struct op_case same = part(c, c->C, c->C), wide = part(c, c->C, 3 * c->C);
    const size_t n = c->B * c->T * c->C;
    real *datt = x[NARROW], *dqkv = x[WIDE], *dln = x[NARROW];
    add_branch(x[BRANCH], NULL, dstream, c, MADE(BLOCK_OTHER_MASK) ? DROP_MLP_OUTPUT : DROP_ATTENTION_OUTPUT);
    zero(datt, n);
    backward(OP_LINEAR, (void *[]){x[BRANCH], datt, dx[AT(ATTN_C_PROJ_WEIGHT)], dx[AT(ATTN_C_PROJ_BIAS)]},
             (void *[]){NULL, x[ATT], x[AT(ATTN_C_PROJ_WEIGHT)]}, &same);
    zero(dqkv, 3 * n);
    backward(OP_ATTENTION, (void *[]){datt, NULL, dqkv}, (void *[]){x[ATT], x[LSE], x[QKV]}, &same);
    zero(dln, n);
    backward(OP_LINEAR, (void *[]){dqkv, dln, dx[AT(C_ATTN_WEIGHT)], dx[AT(C_ATTN_BIAS)]},
             (void *[]){NULL, x[LN_1], x[AT(C_ATTN_WEIGHT)]}, &wide);
    if (MADE(BLOCK_ATTENTION_SKIP_LOST))
        zero(dstream, n);
    backward(OP_LAYERNORM, (void *[]){dln, NULL, NULL, dstream, dx[AT(LN_1_WEIGHT)], dx[AT(LN_1_BIAS)]},
             (void *[]){NULL, x[LN_1_MEAN], x[LN_1_RSTD], x[X], x[AT(LN_1_WEIGHT)]}, &same);
}

void plain_block_backward(op_function *f, void *const *dx, void *const *x, const struct op_case *c)
{
    (void)f;
    const size_t n = c->B * c->T * c->C;
    real *dstream = x[STREAM], *din = dx[X];
    memcpy(dstream, dx[OUT], n * sizeof *dstream);
    mlp_half(dstream, dx, x, c);
    attention_half(dstream, dx, x, c);
    for (size_t i = 0; i < n; i++)
        din[i] += dstream[i];
}
