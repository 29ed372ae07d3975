/* mistakes.c: the plain operations that look at one row or one element at a time, with their mistakes: see mistakes.h. Each takes
 * its tensors in the order of op_info. */
#include "model/check/mistakes_plain.h"
#include "model/dropout.h"
#include "model/real.h"

#define MADE(fault) (c->faults & (fault))
#define FORWARD(op) static void op##_plain(op_function *f, void *const *x, const struct op_case *c)
#define BACKWARD(op)                                                                               \
    static void op##_plain_backward(op_function *f, void *const *dx, void *const *x,               \
                                    const struct op_case *c)

/* --- embedding: x[b,t] = wte[id(b,t)] + wpe[t] --- */

FORWARD(embedding)
{
    (void)f;
    real *y = x[0];
    const real *wte = x[1], *wpe = x[2];
    for (size_t n = 0; n < c->B * c->T; n++)
        for (size_t i = 0; i < c->C; i++) {
            const size_t t = MADE(EMBEDDING_POSITION_SHIFTED) ? (n + 1) % c->T : n % c->T;
            y[n * c->C + i] = wte[c->ids[n] * c->C + i] + wpe[t * c->C + i];
        }
}

BACKWARD(embedding)
{
    (void)f, (void)x;
    const real *dy = dx[0];
    real *dwte = dx[1], *dwpe = dx[2];
    for (size_t n = 0; n < c->B * c->T; n++)
        for (size_t i = 0; i < c->C; i++) {
            real *token = dwte + c->ids[n] * c->C + i, *position = dwpe + n % c->T * c->C + i;
            *token = dy[n * c->C + i] + (MADE(EMBEDDING_TOKEN_ASSIGNED) ? 0 : *token);
            if (!MADE(EMBEDDING_POSITION_LAST) || n % c->T == c->T - 1)
                *position = dy[n * c->C + i] + (MADE(EMBEDDING_POSITION_ASSIGNED) ? 0 : *position);
        }
}

/* --- linear: y = x W + b --- */

FORWARD(linear)
{
    (void)f;
    real *y = x[0];
    const real *in = x[1], *w = x[2], *bias = x[3];
    for (size_t n = 0; n < c->B * c->T; n++)
        for (size_t o = 0; o < c->O; o++) {
            acc sum = bias ? bias[o] : 0;
            for (size_t i = 0; i < c->C; i++)
                sum += (acc)in[n * c->C + i] * w[i * c->O + o];
            y[n * c->O + o] = (real)sum;
        }
}

BACKWARD(linear)
{
    (void)f;
    const real *dy = dx[0], *in = x[1], *w = x[2];
    real *din = dx[1], *dw = dx[2], *dbias = dx[3];
    const size_t N = c->B * c->T, I = c->C, O = c->O;
    for (size_t n = 0; n < N; n++)
        for (size_t i = 0; i < I; i++) {
            acc sum = 0;
            for (size_t o = 0; o < O; o++)
                sum +=
                    (acc)dy[n * O + o] * (MADE(LINEAR_W_TRANSPOSED) ? w[o * I + i] : w[i * O + o]);
            din[n * I + i] = (real)sum + (MADE(LINEAR_DX_ASSIGNED) ? 0 : din[n * I + i]);
        }
    for (size_t i = 0; i < I; i++)
        for (size_t o = 0; o < O; o++) {
            acc sum = 0;
            for (size_t n = 0; n < N; n++)
                sum += (acc)in[n * I + i] * dy[n * O + o];
            real *to = MADE(LINEAR_DW_TRANSPOSED) ? &dw[o * I + i] : &dw[i * O + o];
            *to = (real)sum + (MADE(LINEAR_DW_ASSIGNED) ? 0 : *to);
        }
    for (size_t o = 0; dbias && o < O; o++) {
        acc sum = 0;
        for (size_t n = MADE(LINEAR_BIAS_LAST_ROW) ? N - 1 : 0; n < N; n++)
            sum += dy[n * O + o];
        dbias[o] += (real)(MADE(LINEAR_BIAS_AVERAGED) ? sum / (double)N : sum);
    }
}

/* --- layernorm: y = gain xhat + bias, xhat = (x - mean) rstd --- */

static const double EPS = 1e-5;

FORWARD(layernorm)
{
    (void)f;
    const size_t C = c->C;
    real *mean = x[1], *rstd = x[2];
    const real *gain = x[4], *bias = x[5];
    for (size_t n = 0; n < c->B * c->T; n++) {
        const real *in = (const real *)x[3] + n * C;
        real *y = (real *)x[0] + n * C;
        acc sum = 0, squares = 0;
        for (size_t i = 0; i < C; i++)
            sum += in[i];
        const acc m = sum / (double)C;
        for (size_t i = 0; i < C; i++)
            squares += (in[i] - m) * (in[i] - m);
        const bool fewer = MADE(LAYERNORM_N_MINUS_1 | LAYERNORM_N_MINUS_1_BOTH) && C > 1;
        const acc var = squares / (double)(fewer ? C - 1 : C);
        mean[n] = (real)m;
        rstd[n] = MADE(LAYERNORM_EPS_OUTSIDE) ? 1 / (real_sqrt((real)var) + (real)EPS)
                                              : 1 / real_sqrt((real)(var + EPS));
        for (size_t i = 0; i < C; i++)
            y[i] = gain[i] * ((in[i] - mean[n]) * rstd[n]) + (bias ? bias[i] : 0);
    }
}

/* dx of one row. */
static void layernorm_row(real *dx, const real *dy, const real *x, const real *gain, real m, real s,
                          const struct op_case *c)
{
    const size_t C = c->C;
    acc sum_g = 0, sum_g_xhat = 0;
    const bool without = MADE(LAYERNORM_GAIN_DROPPED | LAYERNORM_GAIN_LATE);
    for (size_t i = 0; i < C; i++) {
        const real g = dy[i] * (without ? 1 : gain[i]);
        sum_g += g;
        sum_g_xhat += g * ((x[i] - m) * s);
    }
    const real mean_g = MADE(LAYERNORM_MEAN_DROPPED) ? 0 : (real)(sum_g / (double)C);
    const bool fewer = MADE(LAYERNORM_N_MINUS_1_BOTH) && C > 1;
    const real mean_g_xhat =
        MADE(LAYERNORM_XHAT_DROPPED) ? 0 : (real)(sum_g_xhat / (double)(fewer ? C - 1 : C));
    const real outer = MADE(LAYERNORM_RSTD_DROPPED) ? 1 : MADE(LAYERNORM_RSTD_TWICE) ? s * s : s;
    for (size_t i = 0; i < C; i++) {
        const real g = dy[i] * (without ? 1 : gain[i]);
        const real d = outer * (g - mean_g - (x[i] - m) * s * mean_g_xhat) *
                       (MADE(LAYERNORM_GAIN_LATE) ? gain[i] : 1);
        dx[i] = d + (MADE(LAYERNORM_DX_ASSIGNED) ? 0 : dx[i]);
    }
}

BACKWARD(layernorm)
{
    (void)f;
    const size_t C = c->C, N = c->B * c->T;
    const real *in = x[3], *mean = x[1], *rstd = x[2], *dy = dx[0];
    real *din = dx[3], *dgain = dx[4], *dbias = dx[5];
    for (size_t n = 0; n < N; n++)
        layernorm_row(din + n * C, dy + n * C, in + n * C, x[4], mean[n], rstd[n], c);
    for (size_t i = 0; i < C; i++) {
        acc sum_gain = 0, sum_bias = 0;
        for (size_t n = 0; n < N; n++) {
            const real xhat = (in[n * C + i] - mean[n]) * rstd[n];
            sum_gain += dy[n * C + i] * (MADE(LAYERNORM_DGAIN_OF_X) ? in[n * C + i] : xhat);
            sum_bias += dy[n * C + i];
        }
        dgain[i] += (real)sum_gain;
        if (dbias)
            dbias[i] += (real)sum_bias;
    }
}

/* --- gelu: y = x Phi(x), or x s(2u) --- */

#define SQRT_2_OVER_PI    0.79788456080286535588
#define ONE_OVER_SQRT_2PI 0.39894228040143267794

static real gelu_gate(real x, enum gelu_kind kind)
{
    if (kind == GELU_ERF)
        return real_normal_cdf(x, real_exp((real)-0.5 * x * x));
    return 1 / (1 + real_exp((real)(-2 * SQRT_2_OVER_PI) * (x + (real)0.044715 * x * x * x)));
}

static real gelu_slope(real x, enum gelu_kind kind, const struct op_case *c)
{
    const real gate = gelu_gate(x, kind);
    if (MADE(GELU_PRODUCT_RULE))
        return gate;
    if (kind == GELU_ERF)
        return gate + x * (real)ONE_OVER_SQRT_2PI * real_exp((real)-0.5 * x * x);
    const real cube = (real)(MADE(GELU_CUBE) ? 0.044715 : 3 * 0.044715);
    const real inner = MADE(GELU_INNER_DROPPED) ? 1 : (real)SQRT_2_OVER_PI * (1 + cube * x * x);
    return gate + x * gate * (1 - gate) * 2 * inner;
}

static enum gelu_kind gelu_kind_of(enum gelu_kind kind, bool other)
{
    return other ? (kind == GELU_ERF ? GELU_TANH : GELU_ERF) : kind;
}

static void gelu_any(void *const *x, const struct op_case *c, enum gelu_kind kind)
{
    real *y = x[0];
    const real *in = x[1];
    for (size_t i = 0; i < c->B * c->T * c->C; i++)
        y[i] = in[i] * gelu_gate(in[i], gelu_kind_of(kind, MADE(GELU_OTHER_FORM_BOTH)));
}

static void gelu_any_backward(void *const *dx, void *const *x, const struct op_case *c,
                              enum gelu_kind kind)
{
    const real *dy = dx[0], *at = x[MADE(GELU_AT_OUTPUT) ? 0 : 1];
    real *din = dx[1];
    kind = gelu_kind_of(kind, MADE(GELU_OTHER_FORM | GELU_OTHER_FORM_BOTH));
    for (size_t i = 0; i < c->B * c->T * c->C; i++)
        din[i] += dy[i] * gelu_slope(at[i], kind, c);
}

FORWARD(gelu_tanh)
{
    (void)f;
    gelu_any(x, c, GELU_TANH);
}

BACKWARD(gelu_tanh)
{
    (void)f;
    gelu_any_backward(dx, x, c, GELU_TANH);
}

FORWARD(gelu_erf)
{
    (void)f;
    gelu_any(x, c, GELU_ERF);
}

BACKWARD(gelu_erf)
{
    (void)f;
    gelu_any_backward(dx, x, c, GELU_ERF);
}

/* --- softmax: p_i = exp(x_i) / sum_j exp(x_j) --- */

FORWARD(softmax)
{
    (void)f;
    real *p = x[0];
    const real *in = x[1];
    const size_t N = c->B * c->T, C = c->C;
    const bool columns = MADE(SOFTMAX_DOWN_COLUMNS);
    const size_t groups = columns ? C : N, size = columns ? N : C, group_step = columns ? 1 : C,
                 step = columns ? C : 1;
    for (size_t g = 0; g < groups; g++) {
        acc sum = 0;
        for (size_t i = 0; i < size; i++)
            sum += real_exp(in[g * group_step + i * step]);
        for (size_t i = 0; i < size; i++)
            p[g * group_step + i * step] = real_exp(in[g * group_step + i * step]) / (real)sum;
    }
}

BACKWARD(softmax)
{
    (void)f;
    const real *p = x[0], *dp = dx[0];
    real *din = dx[1];
    for (size_t n = 0; n < c->B * c->T && !MADE(SOFTMAX_ZERO); n++) {
        acc dot = 0;
        for (size_t i = n * c->C; i < (n + 1) * c->C; i++)
            dot += dp[i] * (MADE(SOFTMAX_DOT_UNWEIGHTED) ? 1 : p[i]);
        for (size_t i = n * c->C; i < (n + 1) * c->C; i++) {
            const real minus = MADE(SOFTMAX_DOT_DROPPED) ? 0
                               : MADE(SOFTMAX_DIAGONAL)  ? dp[i] * p[i]
                                                         : (real)dot;
            din[i] += p[i] * (dp[i] - minus);
        }
    }
}

/* --- dropout: y = x mask; residual: y = x + branch mask --- */

static real mask_at(const struct op_case *c, uint32_t site, size_t n, size_t i, uint64_t step)
{
    if (c->p == 0)
        return 1;
    const struct dropout d = {c->p, OP_DROPOUT_SEED, step, c->first_row};
    real mask[4];
    dropout_mask(mask, &d, 4 * OP_LAYER + (c->site ? c->site : site), c->first_row * c->T + n,
                 i / 4 * 4, 4);
    return mask[i % 4];
}

FORWARD(dropout)
{
    (void)f;
    real *y = x[0];
    const real *in = x[1];
    for (size_t i = 0; i < c->B * c->T * c->C; i++)
        y[i] = in[i] * mask_at(c, DROP_EMBEDDING, i / c->C, i % c->C, OP_DROPOUT_STEP);
}

BACKWARD(dropout)
{
    (void)f, (void)x;
    const real *dy = dx[0];
    real *din = dx[1];
    for (size_t i = 0; i < c->B * c->T * c->C; i++) {
        real mask = mask_at(c, DROP_EMBEDDING, i / c->C, i % c->C,
                            OP_DROPOUT_STEP + (MADE(DROPOUT_REDRAWN) ? 1 : 0));
        const bool kept = real_part(mask) > 0;
        if (MADE(DROPOUT_INVERTED))
            mask = kept ? 0 : (real)(1 / (1 - c->p));
        else if (MADE(DROPOUT_IGNORED) || (MADE(DROPOUT_UNSCALED) && kept))
            mask = 1;
        din[i] += dy[i] * mask;
    }
}

FORWARD(residual)
{
    (void)f;
    real *y = x[0];
    const real *in = x[1], *branch = x[2];
    for (size_t i = 0; i < c->B * c->T * c->C; i++)
        y[i] = in[i] + branch[i] * mask_at(c, DROP_MLP_OUTPUT, i / c->C, i % c->C, OP_DROPOUT_STEP);
}

BACKWARD(residual)
{
    (void)f, (void)x;
    const real *dy = dx[0];
    real *din = dx[1], *dbranch = dx[2];
    for (size_t i = 0; i < c->B * c->T * c->C; i++) {
        const real mask = mask_at(c, DROP_MLP_OUTPUT, i / c->C, i % c->C, OP_DROPOUT_STEP);
        din[i] = dy[i] * (MADE(RESIDUAL_SKIP_MASKED) ? mask : 1) +
                 (MADE(RESIDUAL_ASSIGNED) ? 0 : din[i]);
        dbranch[i] +=
            MADE(RESIDUAL_BRANCH_LOST) ? 0 : dy[i] * (MADE(RESIDUAL_MASK_FORGOTTEN) ? 1 : mask);
    }
}

#define PLAIN(op)                                                                                  \
    {                                                                                              \
        .call_forward = op##_plain, .call_backward = op##_plain_backward                           \
    }
#define OTHER(op)                                                                                  \
    {                                                                                              \
        .call_forward = plain_##op##_forward, .call_backward = plain_##op##_backward               \
    }

const struct op_code NAME(plain)[OPS] = {
    [OP_EMBEDDING] = PLAIN(embedding), [OP_LINEAR] = PLAIN(linear),
    [OP_LAYERNORM] = PLAIN(layernorm), [OP_GELU_TANH] = PLAIN(gelu_tanh),
    [OP_GELU_ERF] = PLAIN(gelu_erf),   [OP_SOFTMAX] = PLAIN(softmax),
    [OP_DROPOUT] = PLAIN(dropout),     [OP_RESIDUAL] = PLAIN(residual),
    [OP_ATTENTION] = OTHER(attention), [OP_MLP] = OTHER(mlp),
    [OP_LOSS] = OTHER(loss),           [OP_BLOCK] = OTHER(block),
};
