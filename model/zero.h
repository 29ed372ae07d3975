/* zero.h: clears the arrays that a backward adds into. */
#ifndef ZERO_H
#define ZERO_H

#include "base/minmax.h"
#include "model/real.h"
#include <stdint.h>
#include <string.h>
#if defined __SSE2__
#include <emmintrin.h>
#endif

/* Bytes that a thread clears at a time; size from which an array does not fit a cache. */
enum { ZERO_BLOCK = 1 << 17, ZERO_FAR = 1 << 26 };

/* Bypasses the caches if possible: an ordinary store would first load the line that it
 * overwrites. */
static inline void zero_far(char *x, size_t bytes)
{
#if defined __SSE2__
    const size_t head = size_min(-(uintptr_t)x % 16, bytes);
    memset(x, 0, head);
    for (x += head, bytes -= head; bytes >= 16; x += 16, bytes -= 16)
        _mm_stream_si128((__m128i *)(void *)x, _mm_setzero_si128());
    _mm_sfence();
#endif
    memset(x, 0, bytes);
}

static inline void zero(real *x, size_t n)
{
    const size_t size = n * sizeof(real);
#pragma omp parallel for
    for (size_t i = 0; i < size; i += ZERO_BLOCK) {
        const size_t bytes = size_min(size - i, ZERO_BLOCK);
        if (size < ZERO_FAR)
            memset((char *)x + i, 0, bytes);
        else
            zero_far((char *)x + i, bytes);
    }
}

#endif
