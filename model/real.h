/* real.h: the number type of the mathematics, and all that differs between its builds.
 *
 * Every source of model/ (but for the tables in tensors.c) is compiled four times, from the same text:
 *
 *   REAL=f32    float            trains
 *   REAL=bf16   float            trains in mixed precision: gemm rounds its operands to bf16, all else is f32's (gemm_bf16.c)
 *   REAL=f64    double           central differences; the reference that float is compared with
 *   REAL=c128   double complex   the complex step: Im f(x + ih) / h is f'(x) to the last bits, since nothing is subtracted
 *                                (Squire and Trapp 1998, doi:10.1137/S003614459631241X)
 *
 * The complex step only holds for analytic code: compare and take the maximum of real_part(x), square as x * x,
 * transpose without conjugating.
 *
 * Each header renames its own functions with NAME, so that all builds link into one program; a struct of reals is renamed with TYPE,
 * since f32 and bf16 share theirs: what one has made the other can run.
 */
#ifndef REAL_H
#define REAL_H

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#if defined REAL_F32 || defined REAL_BF16
#include "model/vector_math.h"
typedef float real;
typedef double acc; /* long sums */
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
/* The normal distribution function Phi(x), given exp(-x^2 / 2), which only the other types make use of. */
static inline double real_normal_cdf(double x, double density)
{
    (void)density;
    return 0.5 * erfc(-0.70710678118654752440 * x);
}
#elif defined REAL_C128
#include <complex.h>
#undef I /* the name is wanted for loops */
typedef double complex real;
typedef double complex acc;
#define NAME(x)      x##_c128
#define TYPE(x)      x##_c128
#define real_epsilon DBL_EPSILON
#define real_part(x) creal(x)
#define real_sqrt    csqrt
#define real_exp     cexp
#define real_log     clog
/* Phi(a + ib) to first order in b, which is exact in double for the complex step's b of 1e-20. */
static inline double complex real_normal_cdf(double complex z, double complex density)
{
    const double one_over_sqrt_2pi = 0.39894228040143267794;
    return __builtin_complex(0.5 * erfc(-0.70710678118654752440 * creal(z)),
                             cimag(z) * one_over_sqrt_2pi * creal(density));
}
#else
#error "compile with -DREAL_F32, -DREAL_BF16, -DREAL_F64 or -DREAL_C128"
#endif

/* A precondition that only a mistake of the programmer can break: checked in debug builds. */
#ifdef DEBUG
#define ASSERT(condition) assert(condition)
#else
#define ASSERT(condition) ((void)0)
#endif

#endif
