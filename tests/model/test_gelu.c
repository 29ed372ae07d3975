/* test_gelu.c: both forms of GELU and their derivatives, compared with the formulas in long
 * double, for x from -40 to 40 in steps of 1/512 and for every power of two down to the
 * smallest normal number. Built for float and for double.
 *
 *   property                  tolerance, in roundings (2^-24 or 2^-53)
 *   y, both forms             16 |x|: Phi is at most 1, exp and Phi are accurate to a few roundings
 *                             (vector_math.h), and no step amplifies an error of its argument
 *                             (phi(z) z < 1/4)
 *   y, tanh form, relative    (16 + 4 |2u|) |y|, also where y tends to 0; exp turns the error of 2u
 *                             into a relative one
 *   dy/dx                     64 in float, 128 in double: the term x 2u' s (1 - s) contains a
 *                             rounding of s times x 2u'; where 1 - s becomes zero, this factor is
 *                             36 (at x = 5.05) or 81 (at 6.9)
 *   x > 15; x < -15; x < -30  y = x; |y| and |dy/dx| below 10^-30; |y| below 10^-190
 *   monotone except near the  up to the tolerance of y
 *   minimum at -0.75
 *   up to the largest number  y is x or 0, and dy/dx is 1 or 0: if x^2 or x^3 overflows, inf * 0
 *                             does not occur
 */
#include "model/gelu.h"
#include "tests/numbers.h"
#include <float.h>

enum { STEPS_PER_UNIT = 512, RANGE = 40, DENSE = 2 * RANGE * STEPS_PER_UNIT + 1 };

#ifdef REAL_F32
enum { SMALLEST = FLT_MIN_EXP, LARGEST = FLT_MAX_EXP, DERIVATIVE_ROUNDINGS = 64 };
#else
enum { SMALLEST = DBL_MIN_EXP, LARGEST = DBL_MAX_EXP, DERIVATIVE_ROUNDINGS = 128 };
#endif
enum { TINY = -2 * SMALLEST, N = DENSE + TINY };

static real *x, *y, *dx, *ones;

static void setup(enum gelu_kind kind)
{
    x = zeros(N);
    y = zeros(N);
    dx = zeros(N);
    ones = zeros(N);
    for (int i = 0; i < DENSE; i++)
        x[i] = (real)i / STEPS_PER_UNIT - RANGE;
    for (int i = 0; i < TINY; i++)
        x[DENSE + i] = (real)ldexp(i % 2 ? -1 : 1, -i / 2);
    for (int i = 0; i < N; i++)
        ones[i] = 1;
    gelu_forward(y, x, N, kind);
    gelu_backward(dx, ones, x, N, kind);
}

static void teardown(void)
{
    free(x);
    free(y);
    free(dx);
    free(ones);
}

static const long double sqrt_2_over_pi = 0.797884560802865355879892119868763737L,
                         sqrt_1_2 = 0.707106781186547524400844362104849039L,
                         one_over_sqrt_2pi = 0.398942280401432677939946059934381868L;

/* 2u of the tanh form. */
static long double twice_u(long double v)
{
    return 2 * sqrt_2_over_pi * (v + 0.044715L * v * v * v);
}

static long double exact(long double v, enum gelu_kind kind)
{
    return kind == GELU_ERF ? v * erfcl(-v * sqrt_1_2) / 2 : v / (1 + expl(-twice_u(v)));
}

static long double exact_derivative(long double v, enum gelu_kind kind)
{
    if (kind == GELU_ERF)
        return erfcl(-v * sqrt_1_2) / 2 + v * one_over_sqrt_2pi * expl(-v * v / 2);
    const long double s = 1 / (1 + expl(-twice_u(v))), one_minus_s = 1 / (1 + expl(twice_u(v)));
    return s + v * s * one_minus_s * 2 * sqrt_2_over_pi * (1 + 3 * 0.044715L * v * v);
}

START_TEST(equals_the_formula)
{
    for (enum gelu_kind kind = GELU_TANH; kind <= GELU_ERF; kind++) {
        setup(kind);
        for (int i = 0; i < N; i++) {
            const double at = (double)x[i], size = fabs(at);
            require_within(fabs((double)((long double)y[i] - exact(x[i], kind))),
                           16 * ROUNDOFF * size, "form %d, y(%g)", kind, at);
            require_within(fabs((double)((long double)dx[i] - exact_derivative(x[i], kind))),
                           DERIVATIVE_ROUNDINGS * ROUNDOFF, "form %d, y'(%g)", kind, at);
        }
        teardown();
    }
}
END_TEST

START_TEST(tanh_form_is_accurate_near_zero)
{
    setup(GELU_TANH);
    for (int i = 0; i < N; i++) {
        const double expected = (double)exact(x[i], GELU_TANH), u2 = fabs((double)twice_u(x[i]));
        if (u2 < 80) /* otherwise exp overflows in float, and y is 0 */
            require_within(fabs((double)y[i] - expected), (16 + 4 * u2) * ROUNDOFF * fabs(expected),
                           "y(%g)", (double)x[i]);
    }
    teardown();
}
END_TEST

START_TEST(tails)
{
    for (enum gelu_kind kind = GELU_TANH; kind <= GELU_ERF; kind++) {
        setup(kind);
        const int minimum = (int)(-0.75 * STEPS_PER_UNIT) + RANGE * STEPS_PER_UNIT;
        for (int i = 0; i + 1 < DENSE; i++) {
            const double rise = (double)y[i + 1] - (double)y[i],
                         slack = 32 * ROUNDOFF * fabs((double)x[i]);
            require_within(i < minimum - 8   ? rise
                           : i > minimum + 8 ? -rise
                                             : 0,
                           slack, "form %d is not monotone at %g", kind, (double)x[i]);
        }
        for (int i = 0; i < DENSE; i++) {
            require(x[i] < 15 || (y[i] == x[i] && dx[i] == 1), "form %d, y(%g)", kind,
                    (double)x[i]);
            require(x[i] > -15 || (y[i] > -1e-30 && fabs((double)dx[i]) < 1e-30), "form %d, y(%g)",
                    kind, (double)x[i]);
            require(x[i] > -30 || fabs((double)y[i]) < 1e-190, "form %d, y(%g)", kind,
                    (double)x[i]);
            require(x[i] > 0 || (y[i] <= 0 && y[i] > (real)-0.171), "form %d, y(%g)", kind,
                    (double)x[i]);
        }
        teardown();
    }
}
END_TEST

START_TEST(huge_arguments)
{
    enum { POWERS = 16, HUGE = 2 * POWERS };
    for (enum gelu_kind kind = GELU_TANH; kind <= GELU_ERF; kind++) {
        real v[HUGE], out[HUGE], slope[HUGE] = {0}, up[HUGE];
        /* exponents at equal distances, from 2^6 to the largest number */
        for (int i = 0; i < HUGE; i++) {
            const int power = 6 + (LARGEST - 7) * (i / 2) / (POWERS - 1);
            v[i] = (real)ldexp(i % 2 ? -1.9375 : 1.9375, power);
            up[i] = 1;
        }
        gelu_forward(out, v, HUGE, kind);
        gelu_backward(slope, up, v, HUGE, kind);
        for (int i = 0; i < HUGE; i++) {
            require(v[i] > 0 ? out[i] == v[i] : out[i] == 0, "form %d, y(%g) = %g", kind,
                    (double)v[i], (double)out[i]);
            require(slope[i] == (v[i] > 0 ? 1 : 0), "form %d, y'(%g) = %g", kind, (double)v[i],
                    (double)slope[i]);
        }
    }
}
END_TEST

/* With several blocks of unequal length. The backward is linear in dy. */
START_TEST(backward_adds_with_any_number_of_threads)
{
    for (enum gelu_kind kind = GELU_TANH; kind <= GELU_ERF; kind++) {
        setup(kind);
        real *dy = random_array(N, 1, 1), *start = random_array(N, 1, 2),
             *first = copy_of(start, N), *forward = zeros(N);
        omp_set_num_threads(1);
        gelu_backward(first, dy, x, N, kind);
        for (int i = 0; i < N; i++)
            require_within(
                fabs((double)first[i] - ((double)start[i] + (double)dy[i] * (double)dx[i])),
                8 * ROUNDOFF * (fabs((double)dx[i]) + 1), "form %d, element %d", kind, i);
        for (int t = 0; t < THREAD_COUNTS; t++) {
            omp_set_num_threads(thread_counts[t]);
            real *other = copy_of(start, N);
            gelu_backward(other, dy, x, N, kind);
            gelu_forward(forward, x, N, kind);
            require(same_bits(other, first, N) && same_bits(forward, y, N),
                    "other bits with %d threads", thread_counts[t]);
            free(other);
        }
        free(dy);
        free(start);
        free(first);
        free(forward);
        teardown();
    }
}
END_TEST

SUITE_FLOAT_DOUBLE("model/gelu", equals_the_formula, tanh_form_is_accurate_near_zero, tails,
                   huge_arguments, backward_adds_with_any_number_of_threads)
