/* gelu.c: y = x Phi(x), where Phi is the normal distribution function (Hendrycks and Gimpel 2016,
 * arXiv:1606.08415).
 *
 * GELU_ERF is the definition, with phi the normal density:
 *
 *     Phi(x) = (1 + erf(x / sqrt 2)) / 2
 *     dy/dx  = Phi(x) + x phi(x)
 *
 * GELU_TANH is the approximation that GPT-2 was trained with, x (1 + tanh u) / 2 with
 * u = sqrt(2/pi) (x + 0.044715 x^3). Since (1 + tanh u) / 2 = 1 / (1 + exp(-2u)), it is x s(2u)
 * with the logistic function s, whose derivative is s (1 - s):
 *
 *     y     = x s
 *     dy/dx = s + x s (1 - s) 2 u'        u' = sqrt(2/pi) (1 + 3 * 0.044715 x^2)
 *
 * This form needs one exponential and loses no digits where tanh approaches -1. The inner
 * derivative u' is easily forgotten, and the network trains without it.
 *
 * If |x| is so large that x^2 overflows, s (1 - s) is zero, and their product would be NaN. The
 * square is therefore bounded.
 *
 * Each thread processes whole blocks of fixed length, so the position of a vector loop's remainder,
 * and with it the last bit of each exponential, depends only on n.
 *
 * Step by step: docs/derivations.md#gelu
 */
#include "model/gelu.h"
#include "base/minmax.h"
#include "model/real.h"
#include <stdbool.h>
#include <string.h>

enum { BLOCK = 4096 };
#define SQRT_2_OVER_PI    0.79788456080286535588
#define ONE_OVER_SQRT_2PI 0.39894228040143267794
#define CUBIC             0.044715
#define FAR               100 /* s (1 - s) is zero in every number type */

static void tanh_forward(real *restrict y, const real *restrict x, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        const real u2 = (real)(2 * SQRT_2_OVER_PI) * (x[i] + (real)CUBIC * x[i] * x[i] * x[i]);
        y[i] = x[i] / (1 + real_exp(-u2));
    }
}

static void tanh_backward(real *restrict dx, const real *restrict dy, const real *restrict x,
                          size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        const real u2 = (real)(2 * SQRT_2_OVER_PI) * (x[i] + (real)CUBIC * x[i] * x[i] * x[i]);
        const real square = real_part(x[i]) * real_part(x[i]) < FAR * FAR ? x[i] * x[i] : FAR * FAR;
        const real du2 = (real)(2 * SQRT_2_OVER_PI) * (1 + (real)(3 * CUBIC) * square);
        const real s = 1 / (1 + real_exp(-u2));
        dx[i] += dy[i] * (s + x[i] * s * (1 - s) * du2);
    }
}

static void erf_forward(real *restrict y, const real *restrict x, size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * real_normal_cdf(x[i], real_exp((real)-0.5 * x[i] * x[i]));
}

static void erf_backward(real *restrict dx, const real *restrict dy, const real *restrict x,
                         size_t n)
{
#pragma omp simd
    for (size_t i = 0; i < n; i++) {
        const real e = real_exp((real)-0.5 * x[i] * x[i]);
        dx[i] += dy[i] * (real_normal_cdf(x[i], e) + x[i] * (real)ONE_OVER_SQRT_2PI * e);
    }
}

void gelu_forward(real *y, const real *x, size_t n, enum gelu_kind kind)
{
#pragma omp parallel for
    for (size_t i = 0; i < n; i += BLOCK)
        (kind == GELU_ERF ? erf_forward : tanh_forward)(y + i, x + i, size_min(n - i, BLOCK));
}

static void backward(bool set, real *dx, const real *dy, const real *x, size_t n,
                     enum gelu_kind kind)
{
#pragma omp parallel for
    for (size_t i = 0; i < n; i += BLOCK) {
        const size_t now = size_min(n - i, BLOCK);
        if (set)
            memset(dx + i, 0, now * sizeof *dx); /* which also loads it into the cache */
        (kind == GELU_ERF ? erf_backward : tanh_backward)(dx + i, dy + i, x + i, now);
    }
}

void gelu_backward(real *dx, const real *dy, const real *x, size_t n, enum gelu_kind kind)
{
    backward(false, dx, dy, x, n, kind);
}

void gelu_backward_set(real *dx, const real *dy, const real *x, size_t n, enum gelu_kind kind)
{
    backward(true, dx, dy, x, n, kind);
}
