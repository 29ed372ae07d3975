/* layernorm.c: y = gain xhat + bias, with xhat = (x - mean) rstd, rstd = 1 / sqrt(var + eps), for
 * each row of x. With g = dy gain,
 *
 *     dx = rstd (g - mean(g) - xhat mean(g xhat))
 */
#include "model/layernorm.h"

void layernorm_forward(real *y, real *mean, real *rstd, const real *x, const real *gain,
                       const real *bias, size_t N, size_t C)
{
    for (size_t n = 0; n < N; n++) {
        acc sum = 0, squares = 0;
        for (size_t i = 0; i < C; i++)
            sum += x[n * C + i];
        const acc m = sum / C;
        for (size_t i = 0; i < C; i++)
            squares += (x[n * C + i] - m) * (x[n * C + i] - m);
        const acc var = squares / C;
        mean[n] = m;
        rstd[n] = 1 / real_sqrt(var + 1e-5);
        for (size_t i = 0; i < C; i++) {
            const real xhat = (x[n * C + i] - mean[n]) * rstd[n];
            y[n * C + i] = gain[i] * xhat + (bias ? bias[i] : 0);
        }
    }
}

/* --- backward --- */

void layernorm_backward(real *dx, real *dgain, real *dbias, const real *dy, const real *x,
                        const real *mean, const real *rstd, const real *gain, size_t N, size_t C)
{
    for (size_t n = 0; n < N; n++) {
        acc sum_g = 0, sum_g_xhat = 0;
        for (size_t i = 0; i < C; i++) {
            const real xhat = (x[n * C + i] - mean[n]) * rstd[n];
            const real g = dy[n * C + i] * gain[i];
            sum_g += g;
            sum_g_xhat += g * xhat;
        }
        const real mean_g = sum_g / C;
        const real mean_g_xhat = sum_g_xhat / C;
        for (size_t i = 0; i < C; i++) {
            const real xhat = (x[n * C + i] - mean[n]) * rstd[n];
            const real g = dy[n * C + i] * gain[i];
            const real d = rstd[n] * (g - mean_g - xhat * mean_g_xhat);
            dx[n * C + i] += d;
            dgain[i] += dy[n * C + i] * xhat;
            if (dbias)
                dbias[i] += dy[n * C + i];
        }
    }
}
