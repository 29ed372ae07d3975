/* gradcheck_numeric.c: derivatives without a backward.
 *
 * Complex step: for an analytic f, f(x + ih v) = f(x) + ih f'(x) v - h^2 ..., so Im f / h is the derivative along v with an error
 * of h^2 = 1e-40 and no subtraction (Squire and Trapp 1998, doi:10.1137/S003614459631241X).
 *
 * Central differences: D(h) = (f(x + hv) - f(x - hv)) / 2h = f' + c_2 h^2 + c_4 h^4 + ... errs by truncation where h is large and
 * by rounding, eps |f| / h, where it is small. Halving h and eliminating one power of h^2 at a time (Richardson 1911) gives
 *
 *     A_i0 = D(h_0 / 2^i),   A_im = (4^m A_i,m-1 - A_i-1,m-1) / (4^m - 1)
 *
 * and each entry comes with an estimate of its error: how far it moved from the two it was made of, plus the rounding that its
 * smallest step amplifies. The entry of least estimate is taken (Ridders 1982, doi:10.1016/S0141-1195(82)80057-0).
 */
#include "gradcheck_bench.h"
#include <complex.h>
#include <float.h>
#include <math.h>

void richardson(double *value, double *error, const double D[CENTRAL_LEVELS], const double rounding[CENTRAL_LEVELS])
{
    double A[CENTRAL_LEVELS][CENTRAL_LEVELS];
    *error = INFINITY;
    *value = NAN;
    for (int i = 0; i < CENTRAL_LEVELS; i++) {
        A[i][0] = D[i];
        double power = 1;
        for (int m = 1; m <= i; m++) {
            power *= 4;
            A[i][m] = (power * A[i][m - 1] - A[i - 1][m - 1]) / (power - 1);
            const double moved = fmax(fabs(A[i][m] - A[i][m - 1]), fabs(A[i][m] - A[i - 1][m - 1])) + rounding[i];
            if (moved < *error) {
                *error = moved;
                *value = A[i][m];
            }
        }
    }
}

/* Tensor k as drawn, plus (re + i im) times the direction. */
static void shift(struct bench *b, enum number n, size_t k, size_t at, double re, double im)
{
    void *x = b->x[n][k];
    const double *value = b->value[k];
    if (at != SIZE_MAX) {
        number_put(n, x, at, value[at] + re, im);
        return;
    }
    for (size_t i = 0; i < b->size[k]; i++)
        number_put(n, x, i, value[i] + re * b->direction[i], im * b->direction[i]);
}

struct derivative bench_complex_step(struct bench *b, size_t k, size_t at)
{
    struct derivative d = {0};
    shift(b, NUMBER_C128, k, at, 0, COMPLEX_STEP);
    bench_forward(b, NUMBER_C128);
    shift(b, NUMBER_C128, k, at, 0, 0);
    for (size_t o = 0; o < b->info->count; o++) {
        const double complex *y = b->x[NUMBER_C128][o];
        for (size_t s = 0; s < UPSTREAMS; s++)
            for (size_t i = 0; b->upstream[s][o] && i < b->size[o]; i++) {
                d.value[s] += b->upstream[s][o][i] * (cimag(y[i]) / COMPLEX_STEP);
                d.magnitude[s] += fabs(b->upstream[s][o][i] * creal(y[i]));
            }
    }
    return d;
}

/* Adds sign times dy . f to sum, and |dy| . |f| to magnitude. */
static void add_outputs(struct bench *b, double sign, double sum[UPSTREAMS], double magnitude[UPSTREAMS])
{
    for (size_t o = 0; o < b->info->count; o++) {
        const double *y = b->x[NUMBER_F64][o];
        for (size_t s = 0; s < UPSTREAMS; s++) {
            long double terms = 0; /* so that the sum's own rounding is not one of the errors to estimate */
            for (size_t i = 0; b->upstream[s][o] && i < b->size[o]; i++) {
                terms += (long double)b->upstream[s][o][i] * y[i];
                magnitude[s] += fabs(b->upstream[s][o][i] * y[i]);
            }
            sum[s] += sign * (double)terms;
        }
    }
}

struct derivative bench_central_difference(struct bench *b, size_t k, size_t at)
{
    double D[UPSTREAMS][CENTRAL_LEVELS], rounding[UPSTREAMS][CENTRAL_LEVELS], h = CENTRAL_STEP;
    for (int level = 0; level < CENTRAL_LEVELS; level++, h /= 2) {
        double sum[UPSTREAMS] = {0}, magnitude[UPSTREAMS] = {0}; /* of both sides */
        shift(b, NUMBER_F64, k, at, h, 0);
        bench_forward(b, NUMBER_F64);
        add_outputs(b, 1, sum, magnitude);
        shift(b, NUMBER_F64, k, at, -h, 0);
        bench_forward(b, NUMBER_F64);
        add_outputs(b, -1, sum, magnitude);
        for (size_t s = 0; s < UPSTREAMS; s++) {
            D[s][level] = sum[s] / (2 * h);
            rounding[s][level] = DBL_EPSILON * magnitude[s] / (2 * h);
        }
    }
    shift(b, NUMBER_F64, k, at, 0, 0);
    struct derivative d = {0};
    for (size_t s = 0; s < UPSTREAMS; s++) {
        richardson(&d.value[s], &d.error[s], D[s], rounding[s]);
        d.magnitude[s] = rounding[s][0] * 2 * CENTRAL_STEP / DBL_EPSILON;
    }
    return d;
}
