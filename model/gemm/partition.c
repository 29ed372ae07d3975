/* partition.c: see partition.h.
 *
 * A larger piece spends less time on packing its operands, relative to its arithmetic. So pieces
 * are as large as the caller allows if C is large enough. A smaller C is divided into eight pieces
 * if each has at least 64 Ki elements, otherwise into four: more of them would occupy more threads,
 * but slow down every thread.
 */
#include "model/gemm/partition.h"
#include "base/minmax.h"

enum {
    FEW_PIECES = 4,
    ENOUGH_PIECES = 8,
    ENOUGH_ELEMENTS = 1 << 16,
    SMALL_SIDE = 32,
    UNIT = 16 /* rows or columns of a kernel */
};

/* The length of equal parts if n is divided into as few of them as `max` allows: a multiple of
 * UNIT, so the last part may be shorter. */
static size_t equal_parts(size_t n, size_t max)
{
    return ceil_div(ceil_div(n, ceil_div(n, max)), UNIT) * UNIT;
}

size_t part_length(size_t n)
{
    return n ? equal_parts(n, ceil_div(n, MAX_PARTS)) : 0;
}

struct piece partition_k(size_t M, size_t N, size_t K, size_t max_m, size_t max_n)
{
    const size_t pieces = ceil_div(M, max_m) * ceil_div(N, max_n);
    return (struct piece){equal_parts(M, max_m), equal_parts(N, max_n),
                          equal_parts(K, ceil_div(K, pieces == 1 ? ENOUGH_PIECES : FEW_PIECES))};
}

struct piece partition_c(size_t M, size_t N, size_t K, size_t max_m, size_t max_n)
{
    size_t m = size_min(M, max_m), n = size_min(N, max_n), pieces;
    while ((pieces = ceil_div(M, m) * ceil_div(N, n)) < FEW_PIECES ||
           (pieces < ENOUGH_PIECES && m * n >= 2 * ENOUGH_ELEMENTS)) {
        if (m <= SMALL_SIDE && n <= SMALL_SIDE)
            break;
        if (m >= n)
            m = ceil_div(m, 2);
        else
            n = ceil_div(n, 2);
    }
    return (struct piece){equal_parts(M, m), equal_parts(N, n), K};
}
