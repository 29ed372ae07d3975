/* window.h: where in the stream of tokens each row of each batch begins. These are pure functions
 * of seed and position, so that resuming needs no stored state. */
#pragma once

#include <stdint.h>

enum order { ORDER_SEQUENTIAL, ORDER_SHUFFLED };
/* Where a window may begin: where the previous one ends, or where documents_windows says. */
enum window_starts { WINDOWS_ANYWHERE, WINDOWS_DOCUMENTS };

struct windows {
    enum order order;
    uint64_t seed;
    uint64_t tokens;        /* N, at least T + 1 */
    uint64_t block_size;    /* T; a window is T + 1 tokens, the last of them only a target */
    const uint64_t *begins; /* (count) for WINDOWS_DOCUMENTS; NULL for WINDOWS_ANYWHERE */
    uint64_t count;
    uint64_t row_shift; /* modulo 2^64: added to row numbers, none of which may become negative */
};

/* Rows of a shuffled epoch: W = N / T - 1, at least 1; one less than would fit, to leave space for
 * the phase. With `begins`: W = count, in either order. */
uint64_t windows_per_epoch(const struct windows *w);

/* The first token of row k = step * rows_per_step + row + row_shift.
 * sequential: k T mod N.
 * shuffled: phase_e + T permutation_e(k mod W) in epoch e = k / W. The phase, in [0, T), is drawn
 * for each epoch, so that windows do not always begin at the same tokens (if N < 2 T, it is in
 * [0, N - T)).
 * With `begins`: begins[k mod W], or begins[permutation_e(k mod W)]. */
uint64_t window_begin(const struct windows *w, uint64_t step, uint64_t rows_per_step, uint64_t row);

/* The image of i under a permutation of 0 ... n - 1 that the key selects. */
uint64_t permute(uint64_t key, uint64_t n, uint64_t i);
