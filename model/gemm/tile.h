/* tile.h: products of matrices that fit the cache, on the caller's thread, with triangles that are skipped. A call of a BLAS costs more
 * than the products of attention's tiles; these cost their arithmetic. */
#ifndef TILE_H
#define TILE_H

#include "model/real.h"
#include <stdbool.h>

#define tile_product   NAME(tile_product)
#define tile_transpose NAME(tile_transpose)

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
#define PANEL ((LANES_BYTES == 64 && LANES > 1 ? 4 : 2) * LANES)
_Static_assert(sizeof(lanes) == LANES * sizeof(real), "LANES");

/* What of a product on the diagonal is wanted, where query q sees keys up to first + q, from the first of each on:
 *
 *   TILE_WHOLE    all
 *   TILE_UPPER_C  of row r of C (a key), columns from r - first on: what lies in the same vector before is written, but means nothing
 *   TILE_LOWER_A  row r of A (a query) has its first first + r + 1 columns: what lies beyond is not read
 *   TILE_UPPER_A  row r of A (a key) begins at column r - first: what lies before is not read. first is 0, or at least M - 1 */
enum tile_part { TILE_WHOLE, TILE_UPPER_C, TILE_LOWER_A, TILE_UPPER_A };

struct tile {
    size_t M, N, K;
    const real *a; /* (M,K): element (r,k) is a[r * a_row + k * a_column] */
    size_t a_row, a_column;
    const real *b; /* (K,N), rows b_row apart, with room to read to the end of the last vector */
    size_t b_row;
    real *c; /* (M,N), rows ldc apart */
    size_t ldc;
    bool add;        /* C += A B, or C = A B */
    bool whole_rows; /* C's rows have room for whole vectors beyond N */
    enum tile_part part;
    size_t first;
};

void tile_product(const struct tile *t);

/* n columns, to the end of the last vector. */
static inline size_t tile_width(size_t n)
{
    return (n + LANES - 1) / LANES * LANES;
}

/* out (columns, rows), rows ldo apart: the transpose of x (rows, columns), rows ldx apart. */
void tile_transpose(real *out, size_t ldo, const real *x, size_t ldx, size_t rows, size_t columns);

#endif
