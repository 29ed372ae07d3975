/* tile.c: the inner kernel of every fast product (Goto and van de Geijn 2008,
 * doi:10.1145/1356052.1356053). A few rows of C by a few vectors stay in registers during the loop
 * over k:
 *
 *     c[r][v] += a[r][k] * b[k][v]           r < R, v < V
 *
 * Each k takes V + R loads for V R multiplications of vectors. 16 registers hold 6 x 2 (12 sums, 2
 * of B, one of A); 32 hold 6 x 4, or 8 x 2 if C has no more columns. 14 x 2 is as fast on an idle
 * core but needs a third more loads per product, which costs time if another guest of the host uses
 * the core's other thread.
 *
 * A triangular A changes only the loop over k: the rows of a group end (or begin) at the diagonal
 * one after the other, and these last (or first) few steps omit the rows that have no element
 * there. So nothing beyond the diagonal is read, not even a zero, NaN or infinity.
 */
#include "model/gemm/tile.h"
#include "base/minmax.h"
#include "model/real.h"
#include <string.h>

enum { VECTORS = PANEL / LANES };
#if defined REAL_C128
enum { ROWS = 2, NARROW_ROWS = 2 };
#elif LANES_BYTES == 64
enum { ROWS = 6, NARROW_ROWS = 8 };
#else
enum { ROWS = 6, NARROW_ROWS = 6 };
#endif

#define INLINE static inline __attribute__((always_inline))
/* Full unrolling, which turns arrays of vectors into registers. */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#define TWICE  _Pragma("clang loop unroll_count(2)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#define TWICE  _Pragma("GCC unroll 2")
#endif

INLINE lanes load(const real *x)
{
    lanes v;
    memcpy(&v, x, sizeof v);
    return v;
}

INLINE void store(real *x, lanes v)
{
    memcpy(x, &v, sizeof v);
}

INLINE void prefetch(const real *c, size_t V)
{
    enum { LINE = 64 / sizeof(real) };
    UNROLL
    for (size_t i = 0; i < V * LANES; i += LINE)
        __builtin_prefetch(c + i, 1);
    __builtin_prefetch(c + V * LANES - 1, 1);
}

/* One k, for rows [from, to) of a group of R. (clang would not unroll a loop over only these.) */
INLINE void step(lanes c[NARROW_ROWS][VECTORS], size_t R, size_t from, size_t to, size_t V,
                 const struct tile *t, const real *a, const real *b)
{
    lanes row[VECTORS];
    UNROLL
    for (size_t v = 0; v < V; v++)
        row[v] = load(b + v * LANES);
    UNROLL
    for (size_t r = 0; r < R; r++) {
        if (r < from || r >= to)
            continue;
        const real x = a[r * t->a_row];
        UNROLL
        for (size_t v = 0; v < V; v++)
            c[r][v] += x * row[v];
    }
}

/* Stores the first n elements of a vector of sums, or adds them. Rare and long, so not inlined. */
static __attribute__((noinline)) void store_part(real *c, lanes sum, size_t n, bool add)
{
    real x[LANES];
    store(x, sum);
    for (size_t i = 0; i < n; i++)
        c[i] = add ? c[i] + x[i] : x[i];
}

/* Stores or adds a vector of sums, of which n elements are inside C's row. */
INLINE void store_sums(real *c, lanes sum, size_t n, const struct tile *t)
{
    if (n < LANES && !t->whole_rows)
        store_part(c, sum, n, t->add);
    else
        store(c, t->add ? load(c) + sum : sum);
}

/* Rows [r0, r0 + R) of C, V vectors from column j, terms [begin, end) of the sum. With corner
 * TILE_LOWER_A or TILE_UPPER_A the diagonal crosses the last or the first R terms. R, V and corner
 * are constants. */
INLINE void kernel(const struct tile *t, size_t R, size_t V, enum tile_part corner, size_t r0,
                   size_t j, size_t begin, size_t end)
{
    lanes c[NARROW_ROWS][VECTORS];
    UNROLL
    for (size_t r = 0; r < R; r++) {
        UNROLL
        for (size_t v = 0; v < V; v++)
            c[r][v] = (lanes){0};
        if (t->add) /* loads C into the cache while the sums are computed */
            prefetch(t->c + (r0 + r) * t->ldc + j, V);
    }
    const real *a = t->a + r0 * t->a_row + begin * t->a_column, *b = t->b + begin * t->b_row + j;
    const size_t a_column = t->a_column, b_row = t->b_row;
    size_t whole = end - begin;
    if (corner == TILE_UPPER_A) {
        UNROLL
        for (size_t i = 0; i < R; i++, a += a_column, b += b_row)
            step(c, R, 0, i + 1, V, t, a, b);
        whole -= R;
    }
    if (corner == TILE_LOWER_A)
        whole = t->first + r0 - begin;
    TWICE
    for (size_t k = 0; k < whole; k++, a += a_column, b += b_row)
        step(c, R, 0, R, V, t, a, b);
    if (corner == TILE_LOWER_A) {
        UNROLL
        for (size_t i = 0; i < R; i++, a += a_column, b += b_row)
            if (begin + whole + i < end)
                step(c, R, i, R, V, t, a, b);
    }
    UNROLL
    for (size_t r = 0; r < R; r++) {
        UNROLL
        for (size_t v = 0; v < V; v++) {
            const size_t column = j + v * LANES;
            store_sums(t->c + (r0 + r) * t->ldc + column, c[r][v],
                       v + 1 < V ? LANES : t->N - column, t);
        }
    }
}

/* Columns [j, N) of R rows; j is a multiple of LANES. NARROW_ROWS rows use at most two vectors. */
INLINE void columns(const struct tile *t, size_t R, enum tile_part corner, size_t r0, size_t j,
                    size_t begin, size_t end)
{
    for (; R <= ROWS && VECTORS > 2 && j + (VECTORS - 1) * LANES < t->N; j += PANEL)
        kernel(t, R, VECTORS, corner, r0, j, begin, end);
    for (; j + LANES < t->N; j += 2 * LANES)
        kernel(t, R, 2, corner, r0, j, begin, end);
    if (j < t->N)
        kernel(t, R, 1, corner, r0, j, begin, end);
}

/* R rows from r0: the columns of C or terms of the sum that the triangle leaves. */
INLINE void group(const struct tile *t, size_t R, size_t r0)
{
    const size_t end = size_min(t->first + r0 + R, t->K); /* of the last row of a lower triangle */
    if (t->part == TILE_LOWER_A && t->first + r0 + 1 < t->K)
        columns(t, R, TILE_LOWER_A, r0, 0, 0, end);
    else if (t->part == TILE_UPPER_A && r0 + R - 1 > t->first)
        columns(t, R, TILE_UPPER_A, r0, 0, r0 - t->first, t->K);
    else
        columns(t, R, TILE_WHOLE, r0,
                t->part == TILE_UPPER_C && r0 > t->first ? (r0 - t->first) / LANES * LANES : 0, 0,
                t->K);
}

void tile_product(const struct tile *t)
{
    ASSERT(t->part != TILE_UPPER_A || t->first == 0 || t->first + 1 >= t->M);
    size_t r = 0;
    for (; NARROW_ROWS > ROWS && t->N <= 2 * LANES && r + NARROW_ROWS <= t->M; r += NARROW_ROWS)
        group(t, NARROW_ROWS, r);
    for (; r + ROWS <= t->M; r += ROWS)
        group(t, ROWS, r);
    for (; ROWS > 4 && r + 4 <= t->M; r += 4)
        group(t, 4, r);
    for (; r + 2 <= t->M; r += 2)
        group(t, 2, r);
    if (r < t->M)
        group(t, 1, r);
}

/* Indices that interleave the lower or the upper halves of two vectors. */
#if LANES == 2
#define INTERLEAVE_LOW  0, 2
#define INTERLEAVE_HIGH 1, 3
#elif LANES == 4
#define INTERLEAVE_LOW  0, 4, 1, 5
#define INTERLEAVE_HIGH 2, 6, 3, 7
#elif LANES == 8
#define INTERLEAVE_LOW  0, 8, 1, 9, 2, 10, 3, 11
#define INTERLEAVE_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#elif LANES == 16
#define INTERLEAVE_LOW  0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define INTERLEAVE_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#endif

/* Transposes a square in registers. Interleaving two halves is a perfect shuffle, which rotates the
 * bits of an element's index (row bits, column bits) by one; log2(LANES) shuffles exchange row and
 * column. */
INLINE void transpose(lanes x[LANES])
{
#if LANES > 1
    UNROLL
    for (size_t bit = 1; bit < LANES; bit *= 2) {
        lanes y[LANES];
        UNROLL
        for (size_t i = 0; i < LANES / 2; i++) {
            y[2 * i] = __builtin_shufflevector(x[i], x[i + LANES / 2], INTERLEAVE_LOW);
            y[2 * i + 1] = __builtin_shufflevector(x[i], x[i + LANES / 2], INTERLEAVE_HIGH);
        }
        UNROLL
        for (size_t i = 0; i < LANES; i++)
            x[i] = y[i];
    }
#else
    (void)x;
#endif
}

void tile_transpose(real *out, size_t ldo, const real *x, size_t ldx, size_t rows, size_t columns)
{
    for (size_t r = 0; r < rows; r += LANES)
        for (size_t c = 0; c < columns; c += LANES) {
            const real *from = x + r * ldx + c;
            real *to = out + c * ldo + r;
            if (rows - r < LANES || columns - c < LANES) {
                for (size_t i = 0; i < LANES && r + i < rows; i++)
                    for (size_t k = 0; k < LANES && c + k < columns; k++)
                        to[k * ldo + i] = from[i * ldx + k];
                continue;
            }
            lanes square[LANES];
            UNROLL
            for (size_t i = 0; i < LANES; i++)
                square[i] = load(from + i * ldx);
            transpose(square);
            UNROLL
            for (size_t i = 0; i < LANES; i++)
                store(to + i * ldo, square[i]);
        }
}
