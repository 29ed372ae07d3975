/* dropout.c: y = x * mask, where mask_i is 0 with probability p and otherwise 1/(1-p), so that the
 * expectation of y is x (Srivastava et al. 2014, "Dropout", JMLR 15). With the same mask,
 *
 *     dx += dy * mask
 *
 * A backward that draws another mask computes the gradient of another network, although its
 * expectation is right. Counter-based random bits (philox.h) give the same mask for the same
 * address: (seed; column / 4, row, site, step).
 *
 * Step by step: docs/derivations.md#dropout
 */
#include "model/dropout.h"
#include "base/minmax.h"
#include "model/philox.h"
#include "model/real.h"

enum { COLUMNS = 256 }; /* of a mask that are drawn at a time */

void dropout_mask(real *mask, const struct dropout *d, uint32_t site, uint64_t row, size_t column,
                  size_t n)
{
    ASSERT(column % 4 == 0 && d->p >= 0 && d->p < 1);
    const uint32_t threshold = (uint32_t)(d->p * 4294967296.0); /* smaller random words give zero */
    const real keep = (real)(1 / (1 - d->p));
    const uint32_t k0 = (uint32_t)d->seed, k1 = (uint32_t)(d->seed >> 32);
    const uint32_t c1 = (uint32_t)row, c2 = site ^ (uint32_t)(row >> 32) << 16,
                   c3 = (uint32_t)d->step;
    uint32_t bits[COLUMNS];
    for (size_t first = 0; first < n; first += COLUMNS) {
        const size_t width = size_min(n - first, COLUMNS);
#pragma omp simd
        for (size_t group = 0; group < (width + 3) / 4; group++) {
            uint32_t c[4] = {(uint32_t)((column + first) / 4 + group), c1, c2, c3};
            philox4x32(c, k0, k1);
            bits[4 * group] = c[0];
            bits[4 * group + 1] = c[1];
            bits[4 * group + 2] = c[2];
            bits[4 * group + 3] = c[3];
        }
        for (size_t i = 0; i < width; i++)
            mask[first + i] = bits[i] < threshold ? 0 : keep;
    }
}

void dropout_forward(real *y, const real *x, size_t N, size_t T, size_t C, const struct dropout *d,
                     uint32_t site)
{
#pragma omp parallel for
    for (size_t n = 0; n < N; n++)
        for (size_t i0 = 0; i0 < C; i0 += COLUMNS) {
            const size_t i1 = size_min(C, i0 + COLUMNS);
            real mask[COLUMNS];
            dropout_mask(mask, d, site, d->first_row * T + n, i0, i1 - i0);
            for (size_t i = i0; i < i1; i++)
                y[n * C + i] = x[n * C + i] * mask[i - i0];
        }
}

void dropout_backward(real *dx, const real *dy, size_t N, size_t T, size_t C,
                      const struct dropout *d, uint32_t site)
{
#pragma omp parallel for
    for (size_t n = 0; n < N; n++)
        for (size_t i0 = 0; i0 < C; i0 += COLUMNS) {
            const size_t i1 = size_min(C, i0 + COLUMNS);
            real mask[COLUMNS];
            dropout_mask(mask, d, site, d->first_row * T + n, i0, i1 - i0);
            for (size_t i = i0; i < i1; i++)
                dx[n * C + i] += dy[n * C + i] * mask[i - i0];
        }
}
