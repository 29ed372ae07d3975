/* linear.c: y = x W + b for each row.
 *
 * y_no = sum_i x_ni W_io + b_o. A row of x affects one row of y; W and b affect all rows:
 *
 *     dx_ni += sum_o dy_no W_io       dx += dy W^T
 *     dW_io += sum_n x_ni dy_no       dW += x^T dy
 *     db_o  += sum_n dy_no
 *
 * These are sums over the rows, not means: the loss already contains the factor 1/(B T).
 *
 * Step by step: docs/derivations.md#linear
 */
#include "model/linear.h"
#include "base/minmax.h"
#include "model/gemm/gemm.h"
#include "model/real.h"

enum { STRIP = 64 }; /* columns that a thread sums at a time */

void linear_forward(real *y, const real *x, const real *w, const real *bias, size_t N, size_t I,
                    size_t O)
{
    if (bias) {
#pragma omp parallel for
        for (size_t n = 0; n < N; n++)
            for (size_t o = 0; o < O; o++)
                y[n * O + o] = bias[o];
    }
    gemm(N_, N_, N, O, I, 1, x, I, w, O, bias ? 1 : 0, y, O);
}

/* One thread sums a strip of columns, so the order of a sum depends on N alone. */
static void bias_backward(real *dbias, const real *dy, size_t N, size_t O)
{
#pragma omp parallel for
    for (size_t o0 = 0; o0 < O; o0 += STRIP) {
        const size_t width = size_min(O - o0, STRIP);
        acc sum[STRIP] = {0};
        for (size_t n = 0; n < N; n++)
            for (size_t o = 0; o < width; o++)
                sum[o] += dy[n * O + o0 + o];
        for (size_t o = 0; o < width; o++)
            dbias[o0 + o] += (real)sum[o];
    }
}

static void backward(double beta, real *dx, real *dw, real *dbias, const real *dy, const real *x,
                     const real *w, size_t N, size_t I, size_t O)
{
    gemm_products((struct product[]){{N_, T_, N, I, O, 1, dy, O, w, O, beta, dx, I},
                                     {T_, N_, I, O, N, 1, x, I, dy, O, 1, dw, O}},
                  2);
    if (dbias)
        bias_backward(dbias, dy, N, O);
}

void linear_backward(real *dx, real *dw, real *dbias, const real *dy, const real *x, const real *w,
                     size_t N, size_t I, size_t O)
{
    backward(1, dx, dw, dbias, dy, x, w, N, I, O);
}

void linear_backward_set(real *dx, real *dw, real *dbias, const real *dy, const real *x,
                         const real *w, size_t N, size_t I, size_t O)
{
    backward(0, dx, dw, dbias, dy, x, w, N, I, O);
}
