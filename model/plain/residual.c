/* residual.c: y = x + dropout(branch). */
#include "model/residual.h"

void residual_forward(real *y, const real *x, const real *branch, size_t N, size_t T, size_t C,
                      const struct dropout *d, uint32_t site)
{
    dropout_forward(y, branch, N, T, C, d, site);
    for (size_t i = 0; i < N * C; i++)
        y[i] += x[i];
}

/* --- backward --- */

void residual_backward(real *dx, real *dbranch, const real *dy, size_t N, size_t T, size_t C,
                       const struct dropout *d, uint32_t site)
{
    for (size_t i = 0; i < N * C; i++)
        dx[i] += dy[i];
    dropout_backward(dbranch, dy, N, T, C, d, site);
}
