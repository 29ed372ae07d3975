/* softmax.c: p_i = exp(x_i - m) / sum_j exp(x_j - m) for each row, where m is the row's maximum.
 *
 * p does not depend on m, so m counts as a constant; the maximum prevents overflow. The derivative
 * of the quotient gives
 *
 *     d p_i / d x_j = p_i (delta_ij - p_j)
 *     dx_j += p_j (dp_j - sum_i dp_i p_i)
 *
 * Since sum_i p_i is constant, an upstream gradient of all ones gives dx = 0. A checker that uses
 * it would accept a backward that does nothing.
 *
 * Step by step: docs/derivations.md#softmax
 */
#include "model/softmax.h"
#include "model/real.h"

void softmax_row(real *p, const real *x, size_t C)
{
    real m = real_part(x[0]);
    for (size_t i = 1; i < C; i++)
        if (real_part(x[i]) > real_part(m))
            m = real_part(x[i]);
    acc sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < C; i++) {
        p[i] = real_exp(x[i] - m);
        sum += p[i];
    }
    const real scale = (real)(1 / sum);
    for (size_t i = 0; i < C; i++)
        p[i] *= scale;
}

void softmax_forward(real *p, const real *x, size_t N, size_t C)
{
#pragma omp parallel for
    for (size_t n = 0; n < N; n++)
        softmax_row(p + n * C, x + n * C, C);
}

void softmax_backward(real *dx, const real *dp, const real *p, size_t N, size_t C)
{
#pragma omp parallel for
    for (size_t n = 0; n < N; n++) {
        acc dot = 0;
#pragma omp simd reduction(+ : dot)
        for (size_t i = n * C; i < (n + 1) * C; i++)
            dot += dp[i] * p[i];
        for (size_t i = n * C; i < (n + 1) * C; i++)
            dx[i] += p[i] * (dp[i] - (real)dot);
    }
}
