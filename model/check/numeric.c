/* numeric.c: derivatives without a backward, and the comparison with a gradient.
 *
 * Complex step: for an analytic f, f(x + ih v) = f(x) + ih f'(x) v - h^2 ..., so Im f / h is the
 * derivative along v with an error of h^2 = 1e-40 and without subtraction (Squire and Trapp 1998,
 * doi:10.1137/S003614459631241X).
 *
 * Central differences: D(h) = (f(x + hv) - f(x - hv)) / 2h = f' + c_2 h^2 + c_4 h^4 + ... has a
 * truncation error for large h and a rounding error, eps |f| / h, for small h. Halving h and
 * eliminating one power of h^2 at a time (Richardson 1911) gives
 *
 *     A_i0 = D(h_0 / 2^i),   A_im = (4^m A_i,m-1 - A_i-1,m-1) / (4^m - 1)
 *
 * The error of each entry is estimated by its distance to the two entries that it was made of, plus
 * the rounding error that its smallest step amplifies. The entry with the smallest estimate is
 * used, and the steps stop once a good estimate grows again (Ridders 1982,
 * doi:10.1016/S0141-1195(82)80057-0).
 */
#include "model/check/gradcheck.h"
#include "model/check/harness.h"
#include <complex.h>
#include <float.h>
#include <math.h>

/* Relative rounding error of a forward's result, which rounds a few times. */
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

/* Sets tensor k to the numbers drawn plus (re + i im) times the direction. */
static void shift(struct harness *h, enum number n, size_t k, size_t at, double re, double im)
{
    void *x = h->x[n][k];
    const double *value = h->value[k];
    if (at != SIZE_MAX) {
        number_put(n, x, at, value[at] + re, im);
        return;
    }
    for (size_t i = 0; i < h->size[k]; i++)
        number_put(n, x, i, value[i] + re * h->direction[i], im * h->direction[i]);
}

struct derivative harness_complex_step(struct harness *h, size_t k, size_t at)
{
    struct derivative d = {0};
    shift(h, NUMBER_C128, k, at, 0, COMPLEX_STEP);
    harness_forward(h, NUMBER_C128);
    shift(h, NUMBER_C128, k, at, 0, 0);
    for (size_t o = 0; o < h->info->count; o++) {
        const double complex *y = h->x[NUMBER_C128][o];
        for (size_t s = 0; s < UPSTREAMS; s++)
            for (size_t i = 0; h->upstream[s][o] && i < h->size[o]; i++) {
                d.value[s] += h->upstream[s][o][i] * (cimag(y[i]) / COMPLEX_STEP);
                d.magnitude[s] += fabs(h->upstream[s][o][i] * creal(y[i]));
            }
    }
    return d;
}

/* Adds sign times dy . f to sum, and |dy| . |f| to magnitude. */
static void add_outputs(struct harness *h, double sign, double sum[UPSTREAMS],
                        double magnitude[UPSTREAMS])
{
    for (size_t o = 0; o < h->info->count; o++) {
        const double *y = h->x[NUMBER_F64][o];
        for (size_t s = 0; s < UPSTREAMS; s++) {
            long double terms =
                0; /* so that the sum's own rounding is not one of the errors to estimate */
            for (size_t i = 0; h->upstream[s][o] && i < h->size[o]; i++) {
                terms += (long double)h->upstream[s][o][i] * y[i];
                magnitude[s] += fabs(h->upstream[s][o][i] * y[i]);
            }
            sum[s] += sign * (double)terms;
        }
    }
}

struct derivative harness_central_difference(struct harness *h, size_t k, size_t at)
{
    struct tableau tableau[UPSTREAMS] = {0};
    struct derivative d = {0};
    bool done = false;
    for (double step = CENTRAL_STEP; !done; step /= 2) {
        double sum[UPSTREAMS] = {0}, magnitude[UPSTREAMS] = {0}; /* of both sides */
        shift(h, NUMBER_F64, k, at, step, 0);
        harness_forward(h, NUMBER_F64);
        add_outputs(h, 1, sum, magnitude);
        shift(h, NUMBER_F64, k, at, -step, 0);
        harness_forward(h, NUMBER_F64);
        add_outputs(h, -1, sum, magnitude);
        done = true;
        for (size_t s = 0; s < UPSTREAMS; s++) {
            tableau_add(&tableau[s], sum[s] / (2 * step),
                        FORWARD_ROUNDING * magnitude[s] / (2 * step));
            done &= tableau_done(&tableau[s]);
            d.magnitude[s] = magnitude[s];
        }
        done |= tableau[0].level == CENTRAL_LEVELS;
    }
    shift(h, NUMBER_F64, k, at, 0, 0);
    for (size_t s = 0; s < UPSTREAMS; s++) {
        d.value[s] = tableau[s].value;
        d.error[s] = tableau[s].error;
    }
    return d;
}

void comparison_add(struct comparison *s, size_t at, double got, double expected, double error,
                    double magnitude)
{
    const double difference = got - expected;
    s->difference += difference * difference;
    s->reference += expected * expected;
    s->magnitude += magnitude * magnitude;
    s->estimate += error * error;
    s->compared++;
    if (worse(s->worst, fabs(difference)) != s->worst) {
        s->worst = fabs(difference);
        s->at = at;
        s->expected = expected;
        s->got = got;
    }
}

/* The norm that errors are relative to is that of the part of the gradient that was checked: random
 * coordinates may all have a gradient of zero. A gradient that is zero everywhere is compared with
 * what it could be, a hundredth of |dy| . |f|. */
struct gradcheck_line comparison_line(const struct comparison *s, size_t size, size_t checked,
                                      double whole, const struct comparison_bounds *bounds)
{
    static const double CENTRAL_SAFETY = 4, ZERO = 1e-2;
    /* A comparison with a looser bound would show nothing. */
    static const double LOOSEST = 1e-6;
    const double share = checked < size ? (double)checked / (double)size : 0;
    const double scale = sqrt(fmax(s->reference, fmax(whole * share, ZERO * ZERO * s->magnitude)));
    const double rms = scale / sqrt(s->compared);
    const bool exact = s->method == GRADCHECK_COMPLEX;
    const double bound =
        exact ? bounds->tolerance
              : CENTRAL_SAFETY * sqrt(s->estimate) / scale + bounds->central_rounding;
    return (struct gradcheck_line){.method = exact ? "complex" : "central",
                                   .size = size,
                                   .checked = checked,
                                   .error = s->difference == 0 ? 0 : sqrt(s->difference) / scale,
                                   .worst = s->worst == 0 ? 0 : s->worst / rms,
                                   .at = s->at,
                                   .expected = s->expected,
                                   .got = s->got,
                                   .tolerance = fmin(bound + bounds->sum_rounding / rms, LOOSEST)};
}
