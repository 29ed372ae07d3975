/* tile.h: products of matrices that fit a cache, on the calling thread, which can skip triangles.
 * Attention uses them: a BLAS call takes longer than the product of two of its tiles. */
#ifndef TILE_H
#define TILE_H

#include "base/minmax.h"
#include "model/real.h"
#include <stdbool.h>

#define tile_product   NAME(tile_product)
#define tile_transpose NAME(tile_transpose)

/* lanes: a machine vector of LANES reals. Complex numbers are processed one at a time by the same
 * source. PANEL: columns that the kernel computes at a time. */
#if defined __AVX512F__
#define LANES_BYTES 64
#elif defined __AVX__
#define LANES_BYTES 32
#else
#define LANES_BYTES 16
#endif
#if defined REAL_C128
#define LANES 1
typedef real lanes;
#else
#ifdef REAL_F64
#define LANES (LANES_BYTES / 8)
#else
#define LANES (LANES_BYTES / 4)
#endif
typedef real lanes __attribute__((vector_size(LANES_BYTES)));
#endif
#define PANEL ((LANES_BYTES == 64 && LANES > 1 ? 4 : 2) * LANES)
_Static_assert(sizeof(lanes) == LANES * sizeof(real), "LANES");

/* The part of a product that is computed. Query q sees keys [0, first + q].
 *
 *   TILE_WHOLE    all of it
 *   TILE_UPPER_C  in row r of C (a key), columns from r - first on; columns before them in the same
 *                 vector are overwritten with undefined values
 *   TILE_LOWER_A  row r of A (a query) ends after column first + r; the rest is not read
 *   TILE_UPPER_A  row r of A (a key) begins at column r - first; the rest is not read. first is 0,
 *                 or at least M - 1 */
enum tile_part { TILE_WHOLE, TILE_UPPER_C, TILE_LOWER_A, TILE_UPPER_A };

struct tile {
    size_t M, N, K;
    const real *a; /* (M,K): element (r,k) is a[r * a_row + k * a_column] */
    size_t a_row, a_column;
    const real *b; /* (K,N), rows b_row apart; readable to the end of the last vector of a row */
    size_t b_row;
    real *c; /* (M,N), rows ldc apart */
    size_t ldc;
    bool add;        /* C += A B instead of C = A B */
    bool whole_rows; /* rows of C are writable to the end of the last vector */
    enum tile_part part;
    size_t first;
};

void tile_product(const struct tile *t);

/* n, rounded up to whole vectors. */
static inline size_t tile_width(size_t n)
{
    return ceil_div(n, LANES) * LANES;
}

/* out (columns, rows), rows ldo apart = the transpose of x (rows, columns), rows ldx apart. */
void tile_transpose(real *out, size_t ldo, const real *x, size_t ldx, size_t rows, size_t columns);

#endif
