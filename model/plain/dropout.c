/* dropout.c: y = x mask. The mask is a function of its address, so the backward draws the same
 * one. */
#include "model/dropout.h"

void dropout_forward(real *y, const real *x, size_t N, size_t T, size_t C, const struct dropout *d,
                     uint32_t site)
{
    real mask[C];
    for (size_t n = 0; n < N; n++) {
        dropout_mask(mask, d, site, d->first_row * T + n, 0, C);
        for (size_t i = 0; i < C; i++)
            y[n * C + i] = x[n * C + i] * mask[i];
    }
}

/* --- backward --- */

void dropout_backward(real *dx, const real *dy, size_t N, size_t T, size_t C,
                      const struct dropout *d, uint32_t site)
{
    real mask[C];
    for (size_t n = 0; n < N; n++) {
        dropout_mask(mask, d, site, d->first_row * T + n, 0, C);
        for (size_t i = 0; i < C; i++)
            dx[n * C + i] += dy[n * C + i] * mask[i];
    }
}
