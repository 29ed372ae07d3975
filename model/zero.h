/* zero.h: clears what a backward adds into. */
#ifndef ZERO_H
#define ZERO_H

#include "real.h"
#include <string.h>

static inline void zero(real *x, size_t n)
{
    enum { BLOCK = 1 << 15 };
#pragma omp parallel for
    for (size_t i = 0; i < n; i += BLOCK)
        memset(x + i, 0, (n - i < BLOCK ? n - i : BLOCK) * sizeof(real));
}

#endif
