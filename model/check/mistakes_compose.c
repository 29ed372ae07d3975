/* mistakes_compose.c: plain MLP and loss, with their mistakes: see mistakes.h. */
#include "model/check/mistakes_plain.h"
#include "model/loss.h"
#include "model/real.h"
#include "model/zero.h"
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

/* A part's case: its own widths, and its own mistakes. */
static struct op_case part(const struct op_case *c, enum op_part part, size_t C, size_t O)
{
    struct op_case p = *c;
    p.C = C;
    p.O = O;
    p.faults = c->part_faults[part];
    return p;
}

/* --- mlp: y = gelu(x W_fc + b_fc) W_proj + b_proj --- */

static enum op gelu_op(const struct op_case *c)
{
    return c->gelu == GELU_ERF ? OP_GELU_ERF : OP_GELU_TANH;
}

static struct op_case gelu_case(const struct op_case *c)
{
    return part(c, c->gelu == GELU_ERF ? PART_GELU_ERF : PART_GELU_TANH, 4 * c->C, 0);
}

void plain_mlp_forward(op_function *f, void *const *x, const struct op_case *c)
{
    (void)f;
    const struct op_case up = part(c, PART_C_FC, c->C, 4 * c->C),
                         down = part(c, PART_MLP_C_PROJ, 4 * c->C, c->C);
    const struct op_case gelu = gelu_case(c);
    forward(OP_LINEAR, (void *[]){x[1], x[3], x[4], x[5]}, &up);
    forward(gelu_op(c), (void *[]){x[2], x[1]}, &gelu);
    forward(OP_LINEAR, (void *[]){x[0], x[2], x[6], x[7]}, &down);
}

void plain_mlp_backward(op_function *f, void *const *dx, void *const *x, const struct op_case *c)
{
    (void)f;
    const struct op_case up = part(c, PART_C_FC, c->C, 4 * c->C),
                         down = part(c, PART_MLP_C_PROJ, 4 * c->C, c->C);
    const struct op_case gelu = gelu_case(c);
    real *dfc = x[8], *dact = x[9];
    const size_t n = c->B * c->T * 4 * c->C;
    zero(dfc, n);
    if (!MADE(MLP_STALE))
        zero(dact, n);
    backward(OP_LINEAR, (void *[]){dx[0], dact, dx[6], dx[7]}, (void *[]){x[0], x[2], x[6], x[7]},
             &down);
    backward(gelu_op(c), (void *[]){dact, dfc},
             (void *[]){x[2], MADE(MLP_GELU_OF_ACT) ? x[2] : x[1]}, &gelu);
    if (MADE(MLP_GELU_SKIPPED))
        memcpy(dfc, dact, n * sizeof *dfc);
    backward(OP_LINEAR, (void *[]){dfc, dx[3], dx[4], MADE(MLP_BIAS_OF_DACT) ? NULL : dx[5]},
             (void *[]){x[1], x[3], x[4], x[5]}, &up);
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
static real row_logits(real *z, const real *x, const real *wte, const struct op_case *c,
                       size_t count)
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
        losses[n] = c->targets[n] == NO_TARGET
                        ? 0
                        : row_logits(z, in + n * c->C, x[2], c, symbols(c)) - z[c->targets[n]];
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
        if (c->targets[n] == NO_TARGET && !MADE(LOSS_NO_TARGET_LEARNT))
            continue;
        const real lse = row_logits(z, in + n * C, wte, c, V),
                   dloss = MADE(LOSS_UPSTREAM_IGNORED) ? 1 : dlosses[n];
        const uint32_t target = MADE(LOSS_TARGET_SHIFTED) ? c->targets[(n + 1) % N] : c->targets[n];
        for (size_t v = 0; v < V; v++) {
            const real hit = v == target && !MADE(LOSS_TARGET_FORGOTTEN) ? 1 : 0;
            const real dz =
                dloss * (MADE(LOSS_SIGN) ? hit - real_exp(z[v] - lse) : real_exp(z[v] - lse) - hit);
            for (size_t i = 0; i < C; i++) {
                din[n * C + i] += dz * wte[v * C + i];
                dwte[v * C + i] += dz * in[n * C + i];
            }
        }
    }
}
