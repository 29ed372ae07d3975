/* linear.c: y = x W + b. */
#include "model/linear.h"

void linear_forward(real *y, const real *x, const real *w, const real *bias, size_t N, size_t I,
                    size_t O)
{
    for (size_t n = 0; n < N; n++)
        for (size_t o = 0; o < O; o++) {
            acc sum = bias ? bias[o] : 0;
            for (size_t i = 0; i < I; i++)
                sum += x[n * I + i] * w[i * O + o];
            y[n * O + o] = sum;
        }
}

/* --- backward --- */

void linear_backward(real *dx, real *dw, real *dbias, const real *dy, const real *x, const real *w,
                     size_t N, size_t I, size_t O)
{
    for (size_t n = 0; n < N; n++)
        for (size_t i = 0; i < I; i++) {
            acc sum = 0;
            for (size_t o = 0; o < O; o++)
                sum += dy[n * O + o] * w[i * O + o];
            dx[n * I + i] += sum;
        }
    for (size_t i = 0; i < I; i++)
        for (size_t o = 0; o < O; o++) {
            acc sum = 0;
            for (size_t n = 0; n < N; n++)
                sum += x[n * I + i] * dy[n * O + o];
            dw[i * O + o] += sum;
        }
    for (size_t o = 0; dbias && o < O; o++) {
        acc sum = 0;
        for (size_t n = 0; n < N; n++)
            sum += dy[n * O + o];
        dbias[o] += sum;
    }
}
