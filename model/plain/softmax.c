/* softmax.c: p_i = exp(x_i) / sum_j exp(x_j), for each row of x. Subtracting the largest element
 * from all changes nothing but keeps exp from overflowing. */
#include "model/softmax.h"

void softmax_forward(real *p, const real *x, size_t N, size_t C)
{
    for (size_t n = 0; n < N; n++) {
        real max = x[n * C];
        for (size_t i = 1; i < C; i++)
            if (real_part(x[n * C + i]) > real_part(max))
                max = x[n * C + i];
        acc sum = 0;
        for (size_t i = 0; i < C; i++)
            sum += real_exp(x[n * C + i] - max);
        for (size_t i = 0; i < C; i++)
            p[n * C + i] = real_exp(x[n * C + i] - max) / sum;
    }
}

/* --- backward --- */

void softmax_backward(real *dx, const real *dp, const real *p, size_t N, size_t C)
{
    for (size_t n = 0; n < N; n++) {
        acc dot = 0;
        for (size_t i = 0; i < C; i++)
            dot += dp[n * C + i] * p[n * C + i];
        for (size_t i = 0; i < C; i++)
            dx[n * C + i] += p[n * C + i] * (dp[n * C + i] - dot);
    }
}
