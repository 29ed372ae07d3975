/* clock.h: elapsed time. */
#ifndef CLOCK_H
#define CLOCK_H

#include <time.h>

/* Seconds on a monotonic clock, from an arbitrary origin. */
static inline double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
