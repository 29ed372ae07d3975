/* window.c: see window.h.
 *
 * Instead of storing a shuffled array of windows, a Feistel network (Luby and Rackoff 1988)
 * computes single elements of a permutation: (L, R) -> (R, L ^ F(R)) is invertible for any F, so
 * any number of rounds permutes the 2h-bit numbers. Cycle walking (Black and Rogaway 2002)
 * restricts it to 0 ... n - 1: repeat until the result is below n, at most 4 times on average,
 * since 4^h < 4 n.
 */
#include "data/window.h"

enum { ROUNDS = 6 };

/* SplitMix64's finaliser (Steele, Lea and Flood 2014): every output bit depends on every input
 * bit. */
static uint64_t mix(uint64_t x)
{
    x += 0x9E3779B97F4A7C15;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
    x = (x ^ x >> 27) * 0x94D049BB133111EB;
    return x ^ x >> 31;
}

uint64_t permute(uint64_t key, uint64_t n, uint64_t i)
{
    unsigned half = 1;
    while (half < 32 && (n - 1) >> 2 * half)
        half++;
    const uint64_t mask = ((uint64_t)1 << half) - 1;
    do {
        uint64_t left = i >> half, right = i & mask;
        for (uint64_t round = 0; round < ROUNDS; round++) {
            const uint64_t old = left;
            left = right;
            right = old ^ (mix(mix(key + round) ^ right) & mask);
        }
        i = left << half | right;
    } while (i >= n);
    return i;
}

uint64_t windows_per_epoch(const struct windows *w)
{
    if (w->begins)
        return w->count;
    const uint64_t fit = w->tokens / w->block_size;
    return fit > 1 ? fit - 1 : 1;
}

uint64_t window_begin(const struct windows *w, uint64_t step, uint64_t rows_per_step, uint64_t row)
{
    /* In 128 bits no step number overflows. */
    const unsigned __int128 k =
        (unsigned __int128)step * rows_per_step + row + (int64_t)w->row_shift;
    const uint64_t N = w->tokens, T = w->block_size;
    if (w->order == ORDER_SEQUENTIAL && w->begins)
        return w->begins[(uint64_t)(k % w->count)];
    if (w->order == ORDER_SEQUENTIAL)
        return (uint64_t)((k % N) * T % N);

    const uint64_t W = windows_per_epoch(w);
    const uint64_t epoch_key = mix(mix(w->seed) ^ (uint64_t)(k / W));
    if (w->begins)
        return w->begins[permute(epoch_key, W, (uint64_t)(k % W))];
    const uint64_t phases = N - T < T ? N - T : T;
    const uint64_t phase = mix(~epoch_key) % phases;
    return phase + T * permute(epoch_key, W, (uint64_t)(k % W));
}
