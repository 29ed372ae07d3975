/* minmax.h: minimum, maximum and rounded-up quotient of sizes. */
#pragma once

#include <stddef.h>

static inline size_t size_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t size_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* n / d, rounded up; cannot overflow. */
static inline size_t ceil_div(size_t n, size_t d)
{
    return n / d + (n % d != 0);
}
