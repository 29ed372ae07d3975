/* attention.c: for each head, with queries q_i, keys k_j and values v_j of D = C / H elements,
 *
 *     p_ij = exp(q_i . k_j / sqrt(D)) / sum_j exp(q_i . k_j / sqrt(D))   keys start_i <= j <= i
 *     y_i  = sum_j p_ij m_ij v_j                                         m: the dropout mask
 *
 * Here all T x T weights are stored; the fast version never does (model/attention.c).
 */
#include "model/attention.h"
#include <stdlib.h>

/* Whether query i attends to key j: causal, and inside the document that begins at start[i]. */
static int sees(const uint32_t *start, size_t i, size_t j)
{
    const size_t first = start ? start[i] : 0;
    return j >= first && j <= i;
}

/* The column of element c of head h in a matrix of C = H D columns. */
static size_t column(size_t h, size_t c, size_t D, size_t H)
{
    (void)H;
    return h * D + c;
}

/* p (T,T): the weights of head h, from the qkv (T,3C) of a sequence; lse (T) of its scores. */
static void weights(real *p, real *lse, const real *qkv, const uint32_t *start, size_t h, size_t T,
                    size_t C, size_t H)
{
    const size_t D = C / H;
    for (size_t i = 0; i < T; i++)
        for (size_t j = 0; j < T; j++) {
            acc s = 0;
            for (size_t c = 0; c < D; c++)
                s += qkv[i * 3 * C + column(h, c, D, H)] * qkv[j * 3 * C + C + column(h, c, D, H)];
            p[i * T + j] = sees(start, i, j) ? real_exp(s / sqrt(D)) : 0;
        }
    for (size_t i = 0; i < T; i++) {
        acc sum = 0;
        for (size_t j = 0; j < T; j++)
            sum += p[i * T + j];
        for (size_t j = 0; j < T; j++)
            p[i * T + j] /= sum;
        if (lse)
            lse[i] = real_log(sum);
    }
}

/* m (T,T): the dropout mask of head bh of B H, 1 without dropout. */
static void masks(real *m, const uint32_t *start, size_t bh, size_t T, size_t H,
                  const struct dropout *d, uint32_t site)
{
    for (size_t i = 0; i < T; i++) {
        const size_t begin = start ? start[i] : 0;
        for (size_t j = 0; j < T; j++)
            m[i * T + j] = 1;
        if (d)
            dropout_mask(m + i * T + begin, d, site, (d->first_row * H + bh) * T + i, 0, T - begin);
    }
}

void attention_forward(real *y, real *lse, const real *qkv, const uint32_t *start, size_t B,
                       size_t T, size_t C, size_t H, const struct dropout *d, uint32_t site)
{
    const size_t D = C / H;
    real *p = malloc(T * T * sizeof *p), *m = malloc(T * T * sizeof *m);
    for (size_t bh = 0; bh < B * H; bh++) {
        const size_t b = bh / H, h = bh % H;
        const real *x = qkv + b * T * 3 * C, *v = x + 2 * C;
        const uint32_t *begins = start ? start + b * T : NULL;
        weights(p, lse + bh * T, x, begins, h, T, C, H);
        masks(m, begins, bh, T, H, d, site);
        for (size_t i = 0; i < T; i++)
            for (size_t c = 0; c < D; c++) {
                acc sum = 0;
                for (size_t j = 0; j < T; j++)
                    sum += p[i * T + j] * m[i * T + j] * v[j * 3 * C + column(h, c, D, H)];
                y[(b * T + i) * C + column(h, c, D, H)] = sum;
            }
    }
    free(p);
    free(m);
}

/* --- backward --- */

/* dp_ij = m_ij dy_i . v_j, and dot_i = sum_j p_ij dp_ij, the dot product in softmax's backward. */
static void weight_gradients(real *dp, real *dot, const real *p, const real *m, const real *dy,
                             const real *v, size_t h, size_t T, size_t C, size_t H)
{
    const size_t D = C / H;
    for (size_t i = 0; i < T; i++)
        for (size_t j = 0; j < T; j++) {
            acc sum = 0;
            for (size_t c = 0; c < D; c++)
                sum += dy[i * C + column(h, c, D, H)] * v[j * 3 * C + column(h, c, D, H)];
            dp[i * T + j] = sum * m[i * T + j];
        }
    for (size_t i = 0; i < T; i++) {
        acc sum = 0;
        for (size_t j = 0; j < T; j++)
            sum += p[i * T + j] * dp[i * T + j];
        dot[i] = sum;
    }
}

void attention_backward(real *dqkv, const real *dy, const real *qkv, const real *y, const real *lse,
                        const uint32_t *start, size_t B, size_t T, size_t C, size_t H,
                        const struct dropout *d, uint32_t site)
{
    (void)y, (void)lse; /* only the fast version needs them */
    const size_t D = C / H;
    const double scale = 1 / sqrt(D);
    real *p = malloc(T * T * sizeof *p), *m = malloc(T * T * sizeof *m);
    real *dp = malloc(T * T * sizeof *dp), *dot = malloc(T * sizeof *dot);
    for (size_t bh = 0; bh < B * H; bh++) {
        const size_t b = bh / H, h = bh % H;
        const real *x = qkv + b * T * 3 * C, *dyb = dy + b * T * C;
        real *dq = dqkv + b * T * 3 * C, *dk = dq + C, *dv = dk + C;
        const uint32_t *begins = start ? start + b * T : NULL;
        weights(p, NULL, x, begins, h, T, C, H);
        masks(m, begins, bh, T, H, d, site);
        weight_gradients(dp, dot, p, m, dyb, x + 2 * C, h, T, C, H);
        for (size_t i = 0; i < T; i++)
            for (size_t j = 0; j < T; j++) {
                if (!sees(begins, i, j))
                    continue;
                const real ds = scale * p[i * T + j] * (dp[i * T + j] - dot[i]);
                for (size_t c = 0; c < D; c++) {
                    const size_t e = column(h, c, D, H), qi = i * 3 * C + e, kj = j * 3 * C + e;
                    dq[qi] += ds * x[kj + C];
                    dk[kj] += ds * x[qi];
                    dv[kj] += p[i * T + j] * m[i * T + j] * dyb[i * C + e];
                }
            }
    }
    free(p);
    free(m);
    free(dp);
    free(dot);
}
