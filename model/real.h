/* real.h: the number type of the mathematics.
 *
 * Every source that includes this header is compiled once for each build below, from the same text:
 *
 *   REAL_F32    float            trains
 *   REAL_BF16   float            trains in mixed precision
 *   REAL_F64    double           for finite differences; the reference that float is compared with
 *   REAL_C128   double complex   for the complex step: Im f(x + ih) / h equals f'(x) to rounding,
 *                                since nothing is subtracted (Squire and Trapp 1998,
 *                                doi:10.1137/S003614459631241X)
 *
 * All builds are linked into one program. Each header therefore renames its functions with NAME,
 * such as `#define linear_forward NAME(linear_forward)`, so that sources read as if there were one
 * type. Structs that contain reals are renamed with TYPE in the same way.
 *
 * The bf16 build stores float and differs only in matrix products, which round their operands to
 * bf16 (gemm_bf16.c). Its structs are those of the float build, so either build can run a model
 * that the other has created. It has no planted mistakes: formulas are checked in the other builds,
 * and this one is compared with double.
 *
 * The complex step needs analytic code: compare and take maxima of real_part(x) only, square as x *
 * x, never take the absolute value of a real, transpose without conjugation.
 */
#ifndef REAL_H
#define REAL_H

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

/* acc is the type of long sums. */
#if defined REAL_F32 || defined REAL_BF16
#include "model/vector_math.h"
typedef float real;
typedef double acc;
#ifdef REAL_F32
#define NAME(x) x##_f32
#else
#define NAME(x) x##_bf16
#endif
#define TYPE(x)         x##_f32
#define real_epsilon    FLT_EPSILON
#define real_part(x)    (x)
#define real_sqrt       sqrtf
#define real_exp        vector_expf
#define real_log        logf
#define real_normal_cdf vector_normal_cdff
#elif defined REAL_F64
typedef double real;
typedef double acc;
#define NAME(x)      x##_f64
#define TYPE(x)      x##_f64
#define real_epsilon DBL_EPSILON
#define real_part(x) (x)
#define real_sqrt    sqrt
#define real_exp     exp
#define real_log     log
/* The normal distribution function. The float build computes it from exp(-x^2 / 2). */
static inline double real_normal_cdf(double x, double exponential)
{
    (void)exponential;
    return 0.5 * erfc(-0.70710678118654752440 * x);
}
#elif defined REAL_C128
#include <complex.h>
#undef I /* used as the name of a size */
typedef double complex real;
typedef double complex acc;
#define NAME(x)      x##_c128
#define TYPE(x)      x##_c128
#define real_epsilon DBL_EPSILON
#define real_part(x) creal(x)
#define real_sqrt    csqrt
#define real_exp     cexp
#define real_log     clog
/* The normal distribution function of a + ib to first order in b, which is exact in double for the
 * complex step's b of 1e-20. */
static inline double complex real_normal_cdf(double complex z, double complex exponential)
{
    const double one_over_sqrt_2pi = 0.39894228040143267794;
    return __builtin_complex(0.5 * erfc(-0.70710678118654752440 * creal(z)),
                             cimag(z) * one_over_sqrt_2pi * creal(exponential));
}
#else
#error "compile with -DREAL_F32, -DREAL_BF16, -DREAL_F64 or -DREAL_C128"
#endif

/* A precondition, checked in debug builds. */
#ifdef DEBUG
#define ASSERT(condition) assert(condition)
#else
#define ASSERT(condition) ((void)0)
#endif

#endif
