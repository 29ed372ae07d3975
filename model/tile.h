/* tile.h: products of matrices that fit the cache, on the caller's thread, with triangles that are skipped. A call of a BLAS costs more
 * than the products of attention's tiles; these cost their arithmetic. */
#ifndef TILE_H
#define TILE_H

#include "real.h"
#include <stdbool.h>

#define tile_product         NAME(tile_product)
#define tile_pack            NAME(tile_pack)
#define tile_pack_transposed NAME(tile_pack_transposed)

/* A machine vector of reals. Complex numbers go one at a time: the same source, without vectors. */
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
#define PANEL (2 * LANES)
_Static_assert(sizeof(lanes) == LANES * sizeof(real), "LANES");

/* What of a product on the diagonal is wanted. With `first` the distance of A's or C's first row from the diagonal's start:
 *
 *   TILE_WHOLE    all
 *   TILE_LOWER_C  of row r of C, columns up to first + r: what lies in the same vectors beyond is written, but means nothing
 *   TILE_LOWER_A  A is lower triangular: row r has its first first + r + 1 columns. What lies beyond is not read.
 *   TILE_UPPER_A  A is the transpose of such a matrix: row r begins at column r - first. first is 0, or at least M - 1. */
enum tile_part { TILE_WHOLE, TILE_LOWER_C, TILE_LOWER_A, TILE_UPPER_A };

struct tile {
    size_t M, N, K;
    const real *a; /* (M,K): element (r,k) is a[r * a_row + k * a_column] */
    size_t a_row, a_column;
    const real *b; /* (K,N), packed */
    real *c;       /* (M,N), rows ldc apart */
    size_t ldc;
    bool add;        /* C += A B, or C = A B */
    bool whole_rows; /* C's rows have room for whole vectors beyond N */
    enum tile_part part;
    size_t first;
};

/* A packed matrix is cut into panels of PANEL columns, each without gaps and as high as the matrix: what the kernel walks down is one
 * stream, and no two rows of it want the same set of the cache. */
void tile_product(const struct tile *t);

/* n columns, to the end of the last vector. */
static inline size_t tile_width(size_t n)
{
    return (n + LANES - 1) / LANES * LANES;
}

/* out: x (rows, columns), rows ldx apart, packed; zeros fill the last panel. */
void tile_pack(real *out, const real *x, size_t ldx, size_t rows, size_t columns);

/* out: the transpose of x (rows, columns), packed; zeros fill its last vector. */
void tile_pack_transposed(real *out, const real *x, size_t ldx, size_t rows, size_t columns);

#endif
