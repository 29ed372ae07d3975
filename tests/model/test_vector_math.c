/* test_vector_math.c: the float functions of vector_math.h, compared with double over their whole
 * range, and at its ends. */
#include "model/vector_math.h"
#include "tests/test.h"
#include <math.h>
#include <string.h>

/* |x - exact| in units in the last place of a float of the size of `exact`. */
static double ulps(float x, double exact)
{
    int exponent;
    frexp(exact, &exponent);
    return fabs(x - exact) / ldexp(1, (exponent < -125 ? -125 : exponent) - 24);
}

START_TEST(exp_within_one_and_a_half_ulps)
{
    double worst = 0;
    for (double x = -104; x < 88.72; x += 1.7e-5) {
        const float f = (float)x;
        const double error = ulps(vector_expf(f), exp(f));
        worst = fmax(worst, error);
    }
    ck_assert_msg(worst <= 1.5, "worst error %g ulps", worst);
}
END_TEST

START_TEST(exp_of_special_values)
{
    ck_assert(vector_expf(0) == 1);
    ck_assert(vector_expf(-0.0f) == 1);
    ck_assert(vector_expf(-INFINITY) == 0);
    ck_assert(vector_expf(-200) == 0);
    ck_assert(vector_expf(-88) > 0);
    ck_assert(isinf(vector_expf(89)));
    ck_assert(isinf(vector_expf(INFINITY)));
    ck_assert(isnan(vector_expf(NAN)));
}
END_TEST

START_TEST(normal_cdf_is_accurate)
{
    double absolute = 0, relative = 0;
    for (double x = -20; x < 20; x += 3e-6) {
        const float f = (float)x;
        const double exact = 0.5 * erfc(-f * M_SQRT1_2),
                     got = vector_normal_cdff(f, vector_expf(-0.5f * f * f));
        absolute = fmax(absolute, fabs(got - exact));
        if (f > -12)
            relative = fmax(relative, fabs(got - exact) / exact);
    }
    ck_assert_msg(absolute <= 0x1p-23, "worst absolute error %g", absolute);
    ck_assert_msg(relative <= 5e-6, "worst relative error %g", relative);
    ck_assert(isnan(vector_normal_cdff(NAN, NAN)));
}
END_TEST

/* In a full vector, in the remainder of a loop, or alone. */
START_TEST(position_in_a_vector_does_not_matter)
{
    enum { LENGTH = 67 };
    float x[LENGTH], whole[LENGTH], part[LENGTH];
    for (int i = 0; i < LENGTH; i++)
        x[i] = -30 + 0.91f * (float)i;
#pragma omp simd
    for (int i = 0; i < LENGTH; i++)
        whole[i] = vector_expf(x[i]);
    for (int first = 0; first < LENGTH; first++) {
        const int n = LENGTH - first;
#pragma omp simd
        for (int i = 0; i < n; i++)
            part[i] = vector_expf(x[first + i]);
        ck_assert(memcmp(part, whole + first, (size_t)n * sizeof *part) == 0);
    }
}
END_TEST

SUITE("model/vector_math", exp_within_one_and_a_half_ulps, exp_of_special_values,
      normal_cdf_is_accurate, position_in_a_vector_does_not_matter)
