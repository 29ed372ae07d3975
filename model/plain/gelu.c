/* gelu.c: y = x Phi(x), with Phi the normal distribution function (GELU_ERF), or its approximation
 * by a logistic function, Phi(x) = 1 / (1 + exp(-2u)), u = sqrt(2/pi) (x + 0.044715 x^3)
 * (GELU_TANH). */
#include "model/gelu.h"

#define SQRT_2_OVER_PI    0.79788456080286535588
#define ONE_OVER_SQRT_2PI 0.39894228040143267794

static real phi(real x, enum gelu_kind kind)
{
    if (kind == GELU_ERF)
        return real_normal_cdf(x, real_exp(-x * x / 2));
    const real u = SQRT_2_OVER_PI * (x + 0.044715 * x * x * x);
    return 1 / (1 + real_exp(-2 * u));
}

void gelu_forward(real *y, const real *x, size_t n, enum gelu_kind kind)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * phi(x[i], kind);
}

/* --- backward --- */

/* The derivative of phi: the normal density, or 2 s (1 - s) u' with the logistic function s. */
static real dphi(real x, enum gelu_kind kind)
{
    if (kind == GELU_ERF)
        return ONE_OVER_SQRT_2PI * real_exp(-x * x / 2);
    const real s = phi(x, kind);
    const real du = SQRT_2_OVER_PI * (1 + 3 * 0.044715 * x * x);
    return 2 * s * (1 - s) * du;
}

void gelu_backward(real *dx, const real *dy, const real *x, size_t n, enum gelu_kind kind)
{
    for (size_t i = 0; i < n; i++) {
        const real xi = x[i];
        dx[i] += dy[i] * (phi(xi, kind) + xi * dphi(xi, kind));
    }
}
