/* residual.c: y = x + dropout(branch(x)) (He et al. 2015, arXiv:1512.03385).
 *
 *     dx      += dy             and the backward of the branch adds its part
 *     dbranch += dy * mask
 *
 * If one part of dx overwrites the other, the network is cut in two, and it still trains.
 *
 * Step by step: docs/derivations.md#residual
 */
#include "model/residual.h"
#include "base/minmax.h"
#include "model/real.h"

void residual_forward(real *y, const real *x, const real *branch, size_t N, size_t T, size_t C,
                      const struct dropout *d, uint32_t site)
{
    enum { COLUMNS = 256 };
#pragma omp parallel for
    for (size_t n = 0; n < N; n++)
        for (size_t i0 = 0; i0 < C; i0 += COLUMNS) {
            const size_t first = n * C + i0, width = size_min(C - i0, COLUMNS);
            if (dropout_active(d)) {
                real mask[COLUMNS];
                dropout_mask(mask, d, site, d->first_row * T + n, i0, width);
                for (size_t i = 0; i < width; i++)
                    y[first + i] = x[first + i] + branch[first + i] * mask[i];
            } else {
                for (size_t i = 0; i < width; i++)
                    y[first + i] = x[first + i] + branch[first + i];
            }
        }
}

static void add(real *dx, const real *dy, size_t N, size_t C)
{
#pragma omp parallel for
    for (size_t n = 0; n < N; n++)
        for (size_t i = n * C; i < (n + 1) * C; i++)
            dx[i] += dy[i];
}

void residual_backward(real *dx, real *dbranch, const real *dy, size_t N, size_t T, size_t C,
                       const struct dropout *d, uint32_t site)
{
    if (dx)
        add(dx, dy, N, C);
    if (dropout_active(d))
        dropout_backward(dbranch, dy, N, T, C, d, site);
    else
        add(dbranch, dy, N, C);
}
