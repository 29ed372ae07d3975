/* test_tile.c: products of tiles are three loops, with and without triangles, for sizes on both
 * sides of groups of rows and of vectors. The program is built for all three types.
 *
 *   property                                             bar
 *   C (+)= A B, every part, against three loops          16 roundings, norm-wise: 40 mixed terms
 *   NaN in A and B beyond the diagonal                   nothing of it is seen
 *   elements beyond column N                             stay as they are
 *   a transpose                                          the same numbers, and nothing beyond
 */
#include "model/gemm/tile.h"
#include "tests/numbers.h"

enum { SIDE = 45, LD = 96 };
static const size_t sides[] = {1, 2, 3, 5, 6, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40};
enum { SIDES = sizeof sides / sizeof *sides };

/* Whether A's element (r,k) and C's (r,c) count. */
static bool in_a(const struct tile *t, size_t r, size_t k)
{
    return t->part == TILE_LOWER_A   ? k <= t->first + r
           : t->part == TILE_UPPER_A ? k + t->first >= r
                                     : true;
}

static bool in_c(const struct tile *t, size_t r, size_t c)
{
    return c < t->N && (t->part != TILE_UPPER_C || c + t->first >= r);
}

static void check(struct tile t, bool transposed)
{
    real *a = random_array(LD * LD, 1, 1), *b = random_array(LD * LD, 1, 2),
         *c = random_array(LD * LD, 1, 3);
    real *expected = zeros(LD * LD), *seen = zeros(LD * LD);
    t.a = a, t.b = b, t.b_row = LD, t.c = c;
    t.a_row = transposed ? 1 : LD, t.a_column = transposed ? LD : 1, t.ldc = LD;
    for (size_t r = 0; r < LD; r++)
        for (size_t k = 0; k < LD; k++)
            if (r >= t.M || k >= t.K || !in_a(&t, r, k))
                a[r * t.a_row + k * t.a_column] = NAN;
    for (size_t r = 0; r < LD; r++)
        for (size_t j = 0; j < LD; j++) {
            acc sum = 0;
            for (size_t k = 0; k < t.K && r < t.M; k++)
                if (in_a(&t, r, k))
                    sum += (acc)a[r * t.a_row + k * t.a_column] * b[k * LD + j];
            expected[r * LD + j] = (t.add ? c[r * LD + j] : 0) + (real)sum;
            if (r >= t.M || (!t.whole_rows && j >= t.N))
                expected[r * LD + j] = c[r * LD + j]; /* is not written */
        }
    tile_product(&t);
    for (size_t r = 0; r < LD; r++)
        for (size_t j = 0; j < LD; j++) {
            const bool free_to_write = t.whole_rows || t.part == TILE_UPPER_C;
            const bool counts = r < t.M ? in_c(&t, r, j) || (j >= t.N && !free_to_write) : true;
            seen[r * LD + j] = counts ? c[r * LD + j] : 0;
            expected[r * LD + j] = counts ? expected[r * LD + j] : 0;
        }
    require_within(error_of(seen, expected, LD * LD), 16 * ROUNDOFF,
                   "M %zu N %zu K %zu, part %d, first %zu, transposed %d", t.M, t.N, t.K,
                   (int)t.part, t.first, transposed);
    free(a);
    free(b);
    free(c);
    free(expected);
    free(seen);
}

START_TEST(is_three_loops)
{
    for (size_t i = 0; i < SIDES; i += sweep(3))
        for (size_t j = 0; j < SIDES; j += sweep(2))
            for (size_t k = 0; k < SIDES; k++)
                for (int add = 0; add < 2; add++)
                    check((struct tile){.M = sides[i],
                                        .N = sides[j],
                                        .K = sides[k],
                                        .add = add,
                                        .whole_rows = (i + j + k) % 2},
                          (i + k) % 2);
}
END_TEST

START_TEST(skips_triangles)
{
    for (size_t i = 0; i < SIDES; i += sweep(3))
        for (size_t j = 0; j < SIDES; j += sweep(2))
            for (size_t first = 0; first < 40; first += 3) {
                const size_t M = sides[i], N = sides[j];
                check((struct tile){.M = M,
                                    .N = N,
                                    .K = 9,
                                    .first = first,
                                    .part = TILE_UPPER_C,
                                    .whole_rows = true},
                      false);
                check((struct tile){.M = M, .N = N, .K = M + 2, .part = TILE_UPPER_A, .add = j % 2},
                      true);
                check((struct tile){.M = M,
                                    .N = N,
                                    .K = M,
                                    .first = M + first,
                                    .part = TILE_UPPER_A,
                                    .add = true},
                      true);
                check((struct tile){.M = M,
                                    .N = N,
                                    .K = first + M,
                                    .first = first,
                                    .part = TILE_LOWER_A,
                                    .add = j % 2},
                      M % 2);
                check((struct tile){.M = M,
                                    .N = N,
                                    .K = first + 1,
                                    .first = first,
                                    .part = TILE_LOWER_A,
                                    .add = j % 2},
                      N % 2);
            }
}
END_TEST

START_TEST(transposes)
{
    real *x = random_array(SIDE * SIDE, 1, 1), *out = zeros(LD * LD);
    const real untouched = 7;
    for (size_t i = 0; i < SIDES; i += sweep(3))
        for (size_t j = 0; j < SIDES; j += sweep(2)) {
            const size_t rows = sides[i], columns = sides[j];
            for (size_t n = 0; n < LD * LD; n++)
                out[n] = untouched;
            tile_transpose(out, LD, x, SIDE, rows, columns);
            for (size_t r = 0; r < LD; r++)
                for (size_t c = 0; c < LD; c++)
                    require(same_bits(&out[r * LD + c],
                                      r < columns && c < rows ? &x[c * SIDE + r] : &untouched, 1),
                            "%zu x %zu at %zu, %zu", rows, columns, r, c);
        }
    free(x);
    free(out);
}
END_TEST

SUITE_ALL_TYPES("tile", is_three_loops, skips_triangles, transposes)
