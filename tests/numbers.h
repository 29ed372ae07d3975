/* numbers.h: shared by the tests of the mathematics: reproducible random numbers, and
 * comparisons. */
#pragma once

#include "model/philox.h"
#include "model/real.h"
#include "tests/test.h"
#include <omp.h>
#include <stdio.h>
#include <string.h>

/* The relative error of one rounding. Every tolerance is a multiple of it. */
#define ROUNDOFF (real_epsilon / 2)
/* The additional relative error of an operand of a product. Two computations of an operand that
 * differ by one rounding may be rounded to different bf16 numbers. */
#ifdef REAL_BF16
#define OPERAND_ROUNDOFF 0x1p-8
#else
#define OPERAND_ROUNDOFF 0.0
#endif

/* Thread counts that must give the same bits: one, even, odd, more than the machine has cores. */
static const int thread_counts[] = {1, 2, 3, 5};
enum { THREAD_COUNTS = sizeof thread_counts / sizeof *thread_counts };

static inline double magnitude(real x)
{
#ifdef REAL_C128
    return cabs(x);
#else
    return fabs((double)x);
#endif
}

/* Number i of a stream of numbers that are uniform in (-1, 1). */
static inline double uniform(uint32_t stream, size_t i)
{
    uint32_t c[4] = {(uint32_t)i, (uint32_t)((uint64_t)i >> 32), stream, 0x74657374};
    philox4x32(c, 1, 2);
    return ((double)c[0] + 0.5) * 0x1p-31 - 1;
}

static inline void fill(real *x, size_t n, double scale, uint32_t stream)
{
    for (size_t i = 0; i < n; i++) {
#ifdef REAL_C128
        x[i] = scale * __builtin_complex(uniform(stream, 2 * i), uniform(stream, 2 * i + 1));
#else
        x[i] = (real)(scale * uniform(stream, i));
#endif
    }
}

static inline real *zeros(size_t n)
{
    real *x = calloc(n ? n : 1, sizeof *x);
    ck_assert_ptr_nonnull(x);
    return x;
}

static inline real *random_array(size_t n, double scale, uint32_t stream)
{
    real *x = zeros(n);
    fill(x, n, scale, stream);
    return x;
}

static inline real *copy_of(const real *x, size_t n)
{
    real *y = zeros(n);
    memcpy(y, x, n * sizeof *x);
    return y;
}

static inline int same_bits(const real *x, const real *y, size_t n)
{
    return memcmp(x, y, n * sizeof *x) == 0;
}

/* Norm-wise relative error |x - expected| / |expected|. */
static inline double error_of(const real *x, const real *expected, size_t n)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        difference += magnitude(x[i] - expected[i]) * magnitude(x[i] - expected[i]);
        size += magnitude(expected[i]) * magnitude(expected[i]);
    }
    return sqrt(difference) / (size > 0 ? sqrt(size) : 1);
}

/* Replaces ck_assert_msg, which makes a system call even if the condition holds: too slow for every
 * element of an array. */
#define require(condition, ...)                                                                    \
    do {                                                                                           \
        if (!(condition))                                                                          \
            ck_abort_msg(__VA_ARGS__);                                                             \
    } while (0)

/* Fails if the error is NaN. The text is a format, followed by its arguments. */
#define require_within(error, tolerance, text, ...)                                                \
    do {                                                                                           \
        const double error_ = (error), tolerance_ = (tolerance);                                   \
        require(error_ <= tolerance_, text ": error %g, tolerance %g", ##__VA_ARGS__, error_,      \
                tolerance_);                                                                       \
    } while (0)
