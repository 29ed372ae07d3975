/* gemm_cut.c: the larger a piece, the smaller the packing of its operands against its arithmetic: as large as the caller allows, where C
 * has that much, and all of one C alike. A smaller C makes eight pieces as long as each keeps 64 Ki elements, and four at least: many
 * would keep more threads busy, but small ones cost everybody (docs/performance.md).
 */
#include "model/gemm/gemm_cut.h"

enum {
    FEW_PIECES = 4,
    ENOUGH_PIECES = 8,
    ENOUGH_ELEMENTS = 1 << 16,
    SMALL_PIECE = 32,
    UNIT = 16 /* rows or columns of a kernel */
};

/* Length of the pieces when n falls into as few as `most` allows: alike, rounded up to UNIT, so that the last is shorter. */
static size_t even(size_t n, size_t most)
{
    return ceil_div(ceil_div(n, ceil_div(n, most)), UNIT) * UNIT;
}

size_t cut_length(size_t n)
{
    return n ? even(n, ceil_div(n, LONG_PIECES)) : 0;
}

struct cuts cut_long_sum(size_t M, size_t N, size_t K, size_t most_m, size_t most_n)
{
    const size_t pieces = ceil_div(M, most_m) * ceil_div(N, most_n);
    return (struct cuts){even(M, most_m), even(N, most_n),
                         even(K, ceil_div(K, pieces == 1 ? ENOUGH_PIECES : FEW_PIECES))};
}

struct cuts cut_product(size_t M, size_t N, size_t K, size_t most_m, size_t most_n)
{
    size_t m = M < most_m ? M : most_m, n = N < most_n ? N : most_n, pieces;
    while ((pieces = ceil_div(M, m) * ceil_div(N, n)) < FEW_PIECES ||
           (pieces < ENOUGH_PIECES && m * n >= 2 * ENOUGH_ELEMENTS)) {
        if (m <= SMALL_PIECE && n <= SMALL_PIECE)
            break;
        if (m >= n)
            m = ceil_div(m, 2);
        else
            n = ceil_div(n, 2);
    }
    return (struct cuts){even(M, m), even(N, n), K};
}
