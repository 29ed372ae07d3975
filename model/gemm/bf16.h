/* bf16.h: the number format bfloat16: a float's sign and exponent, and 8 bits of its significand
 * (one of them implied). The relative error of rounding is at most 2^-8. The range is float's, so
 * training needs no loss scaling. */
#ifndef BF16_H
#define BF16_H

#include "model/real.h"

/* The upper 16 bits of the nearest bf16, ties to even. A NaN stays a NaN; overflow gives
 * infinity. */
static inline uint16_t bf16_bits(float x)
{
    const uint32_t u = bits_of_float(x), rounded = (u + 0x7fff + (u >> 16 & 1)) >> 16,
                   quiet = u >> 16 | 0x40;
    return (uint16_t)((u & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
}

static inline float bf16_value(uint16_t bits)
{
    return float_of_bits((uint32_t)bits << 16);
}

static inline float bf16_round(float x)
{
    return bf16_value(bf16_bits(x));
}

#endif
