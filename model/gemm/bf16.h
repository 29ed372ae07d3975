/* bf16.h: the number format bfloat16: a float's sign and exponent, and 8 bits of its significand (one of them implied). Rounding
 * errs by at most 2^-8 of the number; whatever fits a float fits a bf16, so nothing needs a loss scale.
 */
#ifndef BF16_H
#define BF16_H

#include <stdint.h>
#include <string.h>

/* The upper 16 bits of the nearest bf16, ties to even; a NaN stays one, what is too large becomes infinite. */
static inline uint16_t bf16_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    const uint32_t rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16, quiet = u >> 16 | 0x40;
    return (uint16_t)((u & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
}

static inline float bf16_value(uint16_t bits)
{
    const uint32_t u = (uint32_t)bits << 16;
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static inline float bf16_round(float x)
{
    return bf16_value(bf16_bits(x));
}

#endif
