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
 * smallest step amplifies. The entry of least estimate is taken, and no smaller step tried once a good
 * estimate grows again (Ridders 1982,
 * doi:10.1016/S0141-1195(82)80057-0).
 */
#include "model/check/harness.h"
#include <complex.h>
#include <float.h>
#include <math.h>

/* Of a forward's result, relative: it rounds a few times. */
static const double FORWARD_ROUNDING = 4 * DBL_EPSILON;

void tableau_add(struct tableau *t, double difference, double rounding)
{
    const int i = t->level++;
    double power = 1;
    t->A[i][0] = difference;
    t->rounding = rounding;
    if (i == 0) {
        t->value = NAN;
        t->error = INFINITY;
    }
    for (int m = 1; m <= i; m++) {
        power *= 4;
        t->A[i][m] = (power * t->A[i][m - 1] - t->A[i - 1][m - 1]) / (power - 1);
        const double moved =
            fmax(fabs(t->A[i][m] - t->A[i][m - 1]), fabs(t->A[i][m] - t->A[i - 1][m - 1])) +
            rounding;
        if (moved < t->error) {
            t->error = moved;
            t->value = t->A[i][m];
            t->best = i;
        }
    }
}

bool tableau_done(const struct tableau *t)
{
    const bool known = t->error <= 1e-8 * fabs(t->value) || t->error <= 100 * t->rounding;
    return t->level == CENTRAL_LEVELS || (known && t->level - t->best > 2);
}

/* Tensor k as drawn, plus (re + i im) times the direction. */
static void shift(struct harness *b, enum number n, size_t k, size_t at, double re, double im)
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

struct derivative harness_complex_step(struct harness *b, size_t k, size_t at)
{
    struct derivative d = {0};
    shift(b, NUMBER_C128, k, at, 0, COMPLEX_STEP);
    harness_forward(b, NUMBER_C128);
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
static void add_outputs(struct harness *b, double sign, double sum[UPSTREAMS],
                        double magnitude[UPSTREAMS])
{
    for (size_t o = 0; o < b->info->count; o++) {
        const double *y = b->x[NUMBER_F64][o];
        for (size_t s = 0; s < UPSTREAMS; s++) {
            long double terms =
                0; /* so that the sum's own rounding is not one of the errors to estimate */
            for (size_t i = 0; b->upstream[s][o] && i < b->size[o]; i++) {
                terms += (long double)b->upstream[s][o][i] * y[i];
                magnitude[s] += fabs(b->upstream[s][o][i] * y[i]);
            }
            sum[s] += sign * (double)terms;
        }
    }
}

struct derivative harness_central_difference(struct harness *b, size_t k, size_t at)
{
    struct tableau tableau[UPSTREAMS] = {0};
    struct derivative d = {0};
    bool done = false;
    for (double h = CENTRAL_STEP; !done; h /= 2) {
        double sum[UPSTREAMS] = {0}, magnitude[UPSTREAMS] = {0}; /* of both sides */
        shift(b, NUMBER_F64, k, at, h, 0);
        harness_forward(b, NUMBER_F64);
        add_outputs(b, 1, sum, magnitude);
        shift(b, NUMBER_F64, k, at, -h, 0);
        harness_forward(b, NUMBER_F64);
        add_outputs(b, -1, sum, magnitude);
        done = true;
        for (size_t s = 0; s < UPSTREAMS; s++) {
            tableau_add(&tableau[s], sum[s] / (2 * h), FORWARD_ROUNDING * magnitude[s] / (2 * h));
            done &= tableau_done(&tableau[s]);
            d.magnitude[s] = magnitude[s];
        }
        done |= tableau[0].level == CENTRAL_LEVELS;
    }
    shift(b, NUMBER_F64, k, at, 0, 0);
    for (size_t s = 0; s < UPSTREAMS; s++) {
        d.value[s] = tableau[s].value;
        d.error[s] = tableau[s].error;
    }
    return d;
}
