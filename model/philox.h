/* philox.h: Philox4x32-10, the counter-based random number generator for initial weights and
 * dropout (Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3",
 * doi:10.1145/2063384.2063405).
 *
 * A random number is a function of its address (seed, counter) alone. There is no state to save or
 * to share between threads, and the backward draws the dropout masks of the forward again.
 */
#ifndef PHILOX_H
#define PHILOX_H

#include <stdint.h>

/* Replaces the counter c by 128 random bits, in ten rounds with the key (k0, k1). */
static inline void philox4x32(uint32_t c[4], uint32_t k0, uint32_t k1)
{
    uint32_t c0 = c[0], c1 = c[1], c2 = c[2], c3 = c[3];
    for (int round = 0; round < 10; round++) {
        const uint64_t a = (uint64_t)c0 * 0xD2511F53u, b = (uint64_t)c2 * 0xCD9E8D57u;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)b;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    c[0] = c0;
    c[1] = c1;
    c[2] = c2;
    c[3] = c3;
}

#endif
