/* test_gemm.c: compares gemm_on, gemm_products and gemm_thread with gemm_plain: for every
 * transpose, for sizes on both sides of each piece's edge, and with gaps between rows. Built for
 * all number types and for bf16.
 *
 *   property                                        tolerance
 *   every available backend                         all of the following
 *   random numbers, against gemm_plain              (K + 4) roundings of sum |a b|, by element:
 *                                                   the bound for any order of summation
 *   small integers, against gemm_plain              equal: every sum is exact in any order
 *   (A + A') B = A B + A' B, integers               equal
 *   1, 2, 3, 5 threads                              the same bits
 *   two products in one call, either first          as above; the other product is right too
 *   memory that stays allocated                     at most gemm_bytes
 *   two concurrent calls with long sums             the bits of one call
 *   gaps between rows; C if beta = 0                NaN in the gaps is neither read nor overwritten
 */
#include "model/gemm/gemm.h"
#include "tests/numbers.h"
#include <malloc.h>

typedef void function(const struct product *p);

/* gemm on each backend, whichever gemm_products would choose. */
static void on_openblas(const struct product *p)
{
    gemm_on(GEMM_OPENBLAS, p, 1);
}

static void on_onednn(const struct product *p)
{
    gemm_on(GEMM_ONEDNN, p, 1);
}

static void on_onednn_bf16(const struct product *p)
{
    gemm_on(GEMM_ONEDNN_BF16, p, 1);
}

static void on_chosen(const struct product *p)
{
    gemm_products(p, 1);
}

/* A product beside another in one loop: a long sum, of ones, so that each element is its length. */
static void check_beside(const struct product *p, bool second)
{
    enum { M = 70, N = 40, K = 5000 };
    static real ones[K * (M > N ? M : N)], C[M * N];
    for (size_t i = 0; i < sizeof ones / sizeof *ones; i++)
        ones[i] = 1;
    const struct product beside = {T_, N_, M, N, K, 1, ones, M, ones, N, 0, C, N};
    gemm_products((struct product[]){second ? beside : *p, second ? *p : beside}, 2);
    for (size_t i = 0; i < M * N; i++)
        require(C[i] == K, "element %zu of the product beside is %g", i, (double)real_part(C[i]));
}

static void first_of_two(const struct product *p)
{
    check_beside(p, false);
}

static void second_of_two(const struct product *p)
{
    check_beside(p, true);
}

static function *const libraries[GEMM_BACKENDS] = {on_openblas, on_onednn, on_onednn_bf16};

#ifdef REAL_BF16
enum { ROUNDED = true };
#else
enum { ROUNDED = false };
#endif

/* Complex products round four products and two sums where real ones round one of each. */
#ifdef REAL_C128
enum { PER_TERM = 4 };
#else
enum { PER_TERM = 1 };
#endif

static const struct sizes {
    size_t M, N, K;
} sizes[] = {
#ifdef REAL_BF16
    {4099, 4100, 2}, /* A is rounded once more for other columns */
#endif
    {1, 1, 1},       {1, 1, 7},       {1, 5, 0},      {3, 5, 0},      {1, 768, 31},
    {1, 769, 64},    {1, 2305, 3},    {2, 1, 5},      {7, 13, 1},     {31, 33, 32},
    {64, 64, 64},    {67, 1, 129},    {255, 767, 3},  {256, 768, 8},  {257, 769, 5},
    {257, 5, 300},   {3, 769, 257},   {1031, 40, 9},  {40, 2311, 11}, {113, 97, 89},
    {5, 3, 4099},    {1025, 1, 4096}, {2, 770, 4100}, {1, 5, 5000},   {4099, 3, 2},
    {3, 4100, 1030}, {1100, 20, 301}, {8, 515, 135},  {9, 515, 135},  {1, 3072, 768}};
enum { SIZES = sizeof sizes / sizeof *sizes };

static const struct scales {
    double alpha, beta;
} scales[] = {{1, 0}, {-0.75, 0.5}, {1, 1}, {0.5, 0}, {0, 0.5}, {0, 0}};
enum { SCALES = sizeof scales / sizeof *scales, SCALES_OF_LARGE = 2, LARGE = 5000 };

static size_t scales_for(const struct sizes *s)
{
    return s->M * s->N * (1 + s->K / 1024) < LARGE ? SCALES : SCALES_OF_LARGE;
}

/* A matrix whose rows lie further apart than they are wide. */
struct matrix {
    size_t rows, columns, ld;
    real *x;
};

static struct matrix matrix(enum transpose t, size_t rows, size_t columns, size_t gap)
{
    struct matrix m = {t == N_ ? rows : columns, t == N_ ? columns : rows, 0, NULL};
    m.ld = m.columns + gap;
    m.x = zeros(m.rows * m.ld);
    for (size_t i = 0; i < m.rows * m.ld; i++)
        m.x[i] = NAN;
    return m;
}

static int in_gap(const struct matrix *m, size_t i)
{
    return i % m->ld >= m->columns;
}

static void fill_random(struct matrix *m, uint32_t stream)
{
    for (size_t r = 0; r < m->rows; r++)
        fill(m->x + r * m->ld, m->columns, 1, stream + (uint32_t)r * 16);
}

static void fill_integers(struct matrix *m, uint32_t stream)
{
    for (size_t i = 0; i < m->rows * m->ld; i++)
        if (!in_gap(m, i))
            m->x[i] = (real)floor(8 * uniform(stream, i));
}

static struct matrix copy(const struct matrix *m)
{
    struct matrix c = *m;
    c.x = copy_of(m->x, m->rows * m->ld);
    return c;
}

static struct matrix magnitudes(const struct matrix *m)
{
    struct matrix c = copy(m);
    for (size_t i = 0; i < m->rows * m->ld; i++)
        c.x[i] = (real)magnitude(m->x[i]);
    return c;
}

/* gemm_thread on every thread of a parallel region, each with its own C. The first thread's counts.
 */
static void tile_in_parallel(const struct product *p)
{
#pragma omp parallel num_threads(2)
    {
        struct product own = *p;
        own.C = omp_get_thread_num() ? copy_of(p->C, p->M * p->ldc) : p->C;
#pragma omp barrier
        gemm_thread(&own);
        if (own.C != p->C)
            free(own.C);
    }
}

struct operands {
    enum transpose ta, tb;
    struct matrix A, B, C;
};

static struct operands operands(const struct sizes *s, int transposes, size_t gap)
{
    const enum transpose ta = transposes & 1 ? T_ : N_, tb = transposes & 2 ? T_ : N_;
    return (struct operands){ta, tb, matrix(ta, s->M, s->K, gap), matrix(tb, s->K, s->N, 2 * gap),
                             matrix(N_, s->M, s->N, 3 * gap)};
}

static void free_operands(struct operands *o)
{
    free(o->A.x);
    free(o->B.x);
    free(o->C.x);
}

static void multiply(function *f, const struct operands *o, const struct sizes *s,
                     const struct scales *c, struct matrix *C)
{
    f(&(struct product){o->ta, o->tb, s->M, s->N, s->K, c->alpha, o->A.x, o->A.ld, o->B.x, o->B.ld,
                        c->beta, C->x, C->ld});
}

/* The bound of each element: |alpha| |A| |B| + |beta| |C|. */
static struct matrix bounds(const struct operands *o, const struct sizes *s, const struct scales *c)
{
    struct operands m = {o->ta, o->tb, magnitudes(&o->A), magnitudes(&o->B), magnitudes(&o->C)};
    const struct scales positive = {fabs(c->alpha), fabs(c->beta)};
    multiply(gemm_plain, &m, s, &positive, &m.C);
    free(m.A.x);
    free(m.B.x);
    return m.C;
}

static void check_random(function *f, const struct sizes *s, const struct scales *c, int transposes,
                         size_t gap)
{
    struct operands o = operands(s, transposes, gap);
    fill_random(&o.A, 1);
    fill_random(&o.B, 2);
    if (c->beta != 0)
        fill_random(&o.C, 3); /* otherwise NaN stays: C must not be read */
    struct matrix expected = copy(&o.C), result = copy(&o.C), bound = bounds(&o, s, c);
    multiply(gemm_plain, &o, s, c, &expected);
    multiply(f, &o, s, c, &result);
    for (size_t i = 0; i < result.rows * result.ld; i++)
        if (in_gap(&result, i))
            require(same_bits(&result.x[i], &o.C.x[i], 1), "a gap of C was written");
        else
            require_within(magnitude(result.x[i] - expected.x[i]),
                           PER_TERM * (double)(s->K + 4) * ROUNDOFF * magnitude(bound.x[i]),
                           "%zu x %zu x %zu, transposes %d, alpha %g, beta %g, element %zu, %zu",
                           s->M, s->N, s->K, transposes, c->alpha, c->beta, i / result.ld,
                           i % result.ld);
    free(expected.x);
    free(result.x);
    free(bound.x);
    free_operands(&o);
}

/* Every `step`th of the sizes from `first` on. */
static void check_random_sizes(function *f, size_t first, size_t step)
{
    for (size_t s = first; s < SIZES; s += step)
        for (int transposes = 0; transposes < 4; transposes++)
            for (size_t c = 0; c < scales_for(&sizes[s]); c++)
                check_random(f, &sizes[s], &scales[c], transposes, (s + c) % 3);
}

static void check_all_random(function *f)
{
    check_random_sizes(f, 0, sweep(3));
}

START_TEST(gemm_is_plain_to_rounding)
{
    for (int l = 0; l < GEMM_BACKENDS; l++)
        if (gemm_backend_available(l, ROUNDED))
            check_all_random(libraries[l]);
}
END_TEST

START_TEST(two_products_are_plain_to_rounding)
{
    check_random_sizes(first_of_two, 1, 3 * sweep(3));
    check_random_sizes(second_of_two, 2, 3 * sweep(3));
}
END_TEST

START_TEST(gemm_is_that_of_the_library_chosen)
{
    const char *why = NULL;
    const enum gemm_backend l = gemm_backend_choice(ROUNDED, &why);
    require(gemm_backend_available(l, ROUNDED) && why && *why, "%s, because: %s",
            gemm_backend_name(l), why);
    struct operands o = operands(&sizes[14], 0, 0);
    fill_random(&o.A, 1);
    fill_random(&o.B, 2);
    struct matrix chosen = copy(&o.C);
    multiply(on_chosen, &o, &sizes[14], &scales[0], &o.C);
    multiply(libraries[l], &o, &sizes[14], &scales[0], &chosen);
    require(same_bits(o.C.x, chosen.x, o.C.rows * o.C.ld), "gemm does not run on %s",
            gemm_backend_name(l));
    free(chosen.x);
    free_operands(&o);
}
END_TEST

#ifndef REAL_BF16 /* gemm_tile is f32's there */
START_TEST(gemm_tile_is_plain_to_rounding)
{
    check_all_random(tile_in_parallel);
}
END_TEST
#endif

START_TEST(integers_are_exact)
{
    for (size_t s = 0; s < SIZES; s += sweep(3))
        for (int transposes = 0; transposes < 4; transposes++)
            for (size_t c = 0; c < scales_for(&sizes[s]); c++) {
                struct operands o = operands(&sizes[s], transposes, 1);
                fill_integers(&o.A, 1);
                fill_integers(&o.B, 2);
                fill_integers(&o.C, 3);
                struct matrix expected = copy(&o.C), tile = copy(&o.C);
                multiply(gemm_plain, &o, &sizes[s], &scales[c], &expected);
                multiply(tile_in_parallel, &o, &sizes[s], &scales[c], &tile);
                multiply(on_chosen, &o, &sizes[s], &scales[c], &o.C);
                for (size_t i = 0; i < o.C.rows * o.C.ld; i++)
                    require(in_gap(&o.C, i) ||
                                (o.C.x[i] == expected.x[i] && tile.x[i] == expected.x[i]),
                            "sizes %zu, element %zu", s, i);
                free(expected.x);
                free(tile.x);
                free_operands(&o);
            }
}
END_TEST

START_TEST(linear_in_its_operand)
{
    static const struct scales once = {1, 0}, more = {1, 1};
    for (size_t s = 0; s < SIZES; s += sweep(3))
        for (int transposes = 0; transposes < 4; transposes++) {
            struct operands o = operands(&sizes[s], transposes, 0);
            fill_integers(&o.A, 1);
            fill_integers(&o.B, 2);
            struct operands second = o, sum = o;
            second.A = copy(&o.A);
            fill_integers(&second.A, 4);
            sum.A = copy(&o.A);
            for (size_t i = 0; i < sum.A.rows * sum.A.ld; i++)
                sum.A.x[i] += second.A.x[i];
            struct matrix whole = copy(&o.C);
            multiply(on_chosen, &sum, &sizes[s], &once, &whole);
            multiply(on_chosen, &o, &sizes[s], &once, &o.C);
            multiply(on_chosen, &second, &sizes[s], &more, &o.C);
            for (size_t i = 0; i < o.C.rows * o.C.ld; i++)
                require(o.C.x[i] == whole.x[i], "sizes %zu, element %zu", s, i);
            free(whole.x);
            free(second.A.x);
            free(sum.A.x);
            free_operands(&o);
        }
}
END_TEST

static void check_thread_counts(function *f, const struct operands *o, const struct sizes *s)
{
    struct matrix first = {0};
    for (int t = 0; t < THREAD_COUNTS; t++) {
        omp_set_num_threads(thread_counts[t]);
        struct matrix result = copy(&o->C);
        multiply(f, o, s, &scales[1], &result);
        if (t == 0)
            first = copy(&result);
        require(same_bits(result.x, first.x, result.rows * result.ld), "%d threads give other bits",
                thread_counts[t]);
        free(result.x);
    }
    free(first.x);
}

/* Of two callers that need room for sums at one time, neither gets the other's. */
START_TEST(two_at_once)
{
    static const struct sizes size = {24, 40, 5000};
    struct operands o = operands(&size, 1, 0);
    fill_random(&o.A, 1);
    fill_random(&o.B, 2);
    struct matrix expected = copy(&o.C), second = copy(&o.C);
    multiply(on_chosen, &o, &size, &scales[0], &expected);
    for (int round = 0; round < 20; round++) {
#pragma omp parallel for num_threads(2) schedule(static, 1)
        for (int i = 0; i < 2; i++)
            multiply(on_chosen, &o, &size, &scales[0], i ? &second : &o.C);
        require(same_bits(o.C.x, expected.x, size.M * size.N) &&
                    same_bits(second.x, expected.x, size.M * size.N),
                "round %d", round);
    }
    free(expected.x);
    free(second.x);
    free_operands(&o);
}
END_TEST

/* What stays allocated after products that keep the most. A sanitizer's malloc counts none. */
START_TEST(room_is_what_is_said)
{
    static const struct {
        struct sizes s;
        size_t M, N; /* what gemm_bytes is told */
    } cases[] = {{{8, 90000, 20}, 90000, 20},
                 {{1500, 200, 4100}, 4100, 200}}; /* the smaller room first: it is used again */
    for (int i = 0; i < 8; i++) {
        const struct sizes *s = &cases[i / 4].s;
        const size_t most = gemm_bytes(cases[i / 4].M, cases[i / 4].N, s->K);
        const struct mallinfo2 before = mallinfo2();
        struct operands o = operands(s, i % 4, 0);
        fill_random(&o.A, 1);
        fill_random(&o.B, 2);
        multiply(on_chosen, &o, s, &scales[0], &o.C);
        free_operands(&o);
        const struct mallinfo2 after = mallinfo2();
        const ptrdiff_t kept = (ptrdiff_t)(after.hblkhd + after.uordblks) -
                               (ptrdiff_t)(before.hblkhd + before.uordblks);
        require(kept <= (ptrdiff_t)most + (1 << 20), "%td bytes are kept, %zu were said", kept,
                most);
    }
}
END_TEST

START_TEST(same_bits_at_any_thread_count)
{
    static const struct sizes more[] = {{512, 130, 384}, {1000, 100, 60}, {1, 3000, 300},
                                        {257, 769, 131}, {31, 33, 32},    {33, 2000, 77},
                                        {40, 48, 5000},  {1030, 16, 4096}};
    for (size_t s = 0; s < sizeof more / sizeof *more; s++)
        for (int transposes = 0; transposes < 4; transposes++) {
            struct operands o = operands(&more[s], transposes, 0);
            fill_random(&o.A, 1);
            fill_random(&o.B, 2);
            fill_random(&o.C, 3);
            for (int l = 0; l < GEMM_BACKENDS; l++)
                if (gemm_backend_available(l, ROUNDED))
                    check_thread_counts(libraries[l], &o, &more[s]);
            check_thread_counts(first_of_two, &o, &more[s]);
            check_thread_counts(second_of_two, &o, &more[s]);
            free_operands(&o);
        }
}
END_TEST

SUITE_ALL_TYPES("gemm", gemm_is_plain_to_rounding, two_products_are_plain_to_rounding,
                gemm_is_that_of_the_library_chosen,
#ifndef REAL_BF16
                gemm_tile_is_plain_to_rounding,
#endif
                integers_are_exact, linear_in_its_operand, two_at_once, room_is_what_is_said,
                same_bits_at_any_thread_count)
