/* vector_math.h: exp and the normal distribution function in float, without branches or calls, so
 * that every compiler vectorises loops around them, and a result does not depend on the position of
 * the element in a vector.
 *
 * Error bounds, checked by tests/model/test_vector_math.c against double over the whole range: exp
 * 1.5 units in the last place, with gradual underflow, overflow to infinity, and NaN for NaN.
 * Distribution function 2^-23 absolute, and 5e-6 relative down to x = -12, where the rounding of
 * x^2 / 2 alone contributes 4.3e-6.
 */
#ifndef VECTOR_MATH_H
#define VECTOR_MATH_H

#include <stdint.h>
#include <string.h>

static inline float float_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint32_t bits_of_float(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* exp(x) = 2^n e^r, where n is the integer nearest to x / ln 2 and |r| <= ln(2)/2. ln 2 is
 * subtracted in two parts; the first has so few bits that n times it is exact (Cody and Waite
 * 1980). e^r - 1 - r is r^2 times a minimax polynomial with a relative error of 3e-9. Adding 1.5 *
 * 2^23 rounds to an integer, which is then in the low bits of the sum. 2^n is applied as two
 * factors because n exceeds the exponents of normal numbers at both ends. */
static inline float vector_expf(float x)
{
    const float lowest = -110, highest = 90, shift = 12582912.0f;
    const float c = x < lowest ? lowest : x > highest ? highest : x;
    const float t = c * 1.44269504f + shift;
    const float n = t - shift;
    const float r = (c - n * 0.693359375f) + n * 2.12194440e-4f;
    const float q =
        0.49999994f +
        r * (0.166665221f + r * (0.0416683890f + r * (0.00836870751f + r * 0.00138145965f)));
    const float e = 1 + (r + r * r * q);
    const int32_t whole = (int32_t)bits_of_float(t) - 0x4B400000, half = whole >> 1;
    return e * float_of_bits((uint32_t)(half + 127) << 23) *
           float_of_bits((uint32_t)(whole - half + 127) << 23);
}

/* Phi(x) = erfc(-x / sqrt 2) / 2, given e = exp(-x^2 / 2). For t = |x| the tail Phi(-t) is e times
 * a function that falls smoothly from 1/2 towards 1 / (t sqrt(2 pi)): here a rational minimax
 * approximation on [0, 15] with positive coefficients and a relative error of 6e-9. Phi is the tail
 * or 1 minus it, which keeps the digits that (1 + erf) / 2 would lose. */
static inline float vector_normal_cdff(float x, float e)
{
    const float size = x < 0 ? -x : x,
                t = size > 15 ? 15 : size; /* beyond, e is zero, and p and q would overflow */
    const float p =
        0.5f + t * (0.439283013f + t * (0.183968842f + t * (0.0408810303f + t * 0.00415321533f)));
    const float q =
        1 + t * (1.67645109f +
                 t * (1.20554709f + t * (0.47140792f + t * (0.102479659f + t * 0.0104104551f))));
    const float tail = e * (p / q);
    return x < 0 ? tail : 1 - tail;
}

#endif
