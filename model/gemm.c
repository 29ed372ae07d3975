/* gemm.c: matrix products on OpenBLAS or oneDNN, cut into pieces.
 *
 * A threaded BLAS splits a product by the number of threads, and another split sums in another order. Here C is cut into pieces
 * by the sizes alone, each computed whole by one single-threaded call, and OpenMP hands the pieces out: 1, 2 or 16 threads give
 * the same bits. (Inside a parallel region both libraries are single-threaded by themselves. Calling
 * openblas_set_num_threads instead would change OpenMP's own setting, and so everybody else's.)
 *
 * Where such a small C is a long sum, as a weight's gradient is over all tokens, K is cut instead, again by the sizes alone:
 *
 *     C = alpha A_1 B_1 + beta C,   S_i = alpha A_i B_i for the further slices,   C += S_2, C += S_3 ... in that order
 *
 * A transposed A whose rows are further apart than a page has each number of a column on another page, and oneDNN, which copies it a few
 * columns at a time, gets to half or two thirds of its speed. Such an A is turned round first, a block at a time that a cache holds.
 */
#include "gemm.h"
#include "bf16.h"
#include "gemm_bf16.h"
#include "gemm_cut.h"
#include "gemm_onednn.h"
#include "tile.h"
#include <cblas.h>
#include <omp.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    PIECE_M = 1024,
    PIECE_N = 768,
    LONG_SUM = 4096,
    SMALL_C = 4 * PIECE_M * PIECE_N,
    SUMS = 3 * SMALL_C, /* of all slices but the first: of one piece seven, which is less */
    PAGE = 4096,        /* bytes */
    TURN_DEPTH = 256,   /* rows of a transposed A that are turned at a time */
    TURN_ROW = TURN_DEPTH + 16,
    TURNED = PIECE_M * TURN_ROW
};

/* One row: a product with a vector, which need not copy B to pack it. */
static void row_product(enum transpose tb, int n, int k, real alpha, const real *A, const real *B, int ldb, real beta, real *C)
{
    const CBLAS_TRANSPOSE op = tb == N_ ? CblasTrans : CblasNoTrans;
    const int rows = tb == N_ ? k : n, columns = tb == N_ ? n : k;
#if defined REAL_F64
    cblas_dgemv(CblasRowMajor, op, rows, columns, alpha, B, ldb, A, 1, beta, C, 1);
#elif defined REAL_C128
    cblas_zgemv(CblasRowMajor, op, rows, columns, &alpha, B, ldb, A, 1, &beta, C, 1);
#else
    cblas_sgemv(CblasRowMajor, op, rows, columns, alpha, B, ldb, A, 1, beta, C, 1);
#endif
}

static void tile_on(enum gemm_backend library, enum transpose ta, enum transpose tb, size_t M, size_t N, size_t K, double alpha,
                    const real *A, size_t lda, const real *B, size_t ldb, double beta, real *C, size_t ldc)
{
    ASSERT(M <= INT32_MAX && N <= INT32_MAX && K <= INT32_MAX && lda <= INT32_MAX && ldb <= INT32_MAX && ldc <= INT32_MAX);
    const real a = alpha, b = beta; /* complex calls take them by address */
    const int m = (int)M, n = (int)N, k = (int)K, la = (int)lda, lb = (int)ldb, lc = (int)ldc;
    const CBLAS_TRANSPOSE op_a = ta == N_ ? CblasNoTrans : CblasTrans, op_b = tb == N_ ? CblasNoTrans : CblasTrans;
    if (M == 1 && ta == N_ && K > 0) {
        row_product(tb, n, k, a, A, B, lb, b, C);
        return;
    }
#if defined REAL_F64
    (void)library;
    cblas_dgemm(CblasRowMajor, op_a, op_b, m, n, k, a, A, la, B, lb, b, C, lc);
#elif defined REAL_C128
    (void)library;
    cblas_zgemm(CblasRowMajor, op_a, op_b, m, n, k, &a, A, la, B, lb, &b, C, lc);
#else
    if (library != GEMM_OPENBLAS && K > 0 && onednn_sgemm(ta == T_, tb == T_, M, N, K, a, A, lda, B, ldb, b, C, ldc) == 0)
        return;
    cblas_sgemm(CblasRowMajor, op_a, op_b, m, n, k, a, A, la, B, lb, b, C, lc);
#endif
}

void gemm_tile(enum transpose ta, enum transpose tb, size_t M, size_t N, size_t K, double alpha, const real *A, size_t lda,
               const real *B, size_t ldb, double beta, real *C, size_t ldc)
{
    tile_on(gemm_backend_choice(false, NULL), ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc);
}

#ifdef REAL_BF16
void gemm_on(enum gemm_backend library, enum transpose ta, enum transpose tb, size_t M, size_t N, size_t K, double alpha,
             const real *A, size_t lda, const real *B, size_t ldb, double beta, real *C, size_t ldc)
{
    if (gemm_bf16_on(library, ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc)) /* no memory to round into */
        gemm_plain(ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc);
}

void gemm(enum transpose ta, enum transpose tb, size_t M, size_t N, size_t K, double alpha, const real *A, size_t lda,
          const real *B, size_t ldb, double beta, real *C, size_t ldc)
{
    gemm_on(gemm_backend_choice(true, NULL), ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc);
}
#else
struct product {
    enum gemm_backend library;
    enum transpose ta, tb;
    size_t M, N, K, lda, ldb;
    double alpha;
    const real *A, *B;
    real *turned; /* TURNED numbers for each thread, to turn A in; NULL: A stays as it is */
};

/* c = alpha A B + beta c for (m, depth) of A and (depth, n) of B. */
static void turned_product(const struct product *p, const real *a, const real *b, size_t m, size_t n, size_t depth, double beta,
                           real *c, size_t ldc)
{
    real *turned = p->turned + (size_t)omp_get_thread_num() * TURNED;
    for (size_t k = 0; k < depth; k += TURN_DEPTH) {
        const size_t d = depth - k < TURN_DEPTH ? depth - k : TURN_DEPTH;
        tile_transpose(turned, TURN_ROW, a + k * p->lda, p->lda, d, m);
        tile_on(p->library, N_, p->tb, m, n, d, p->alpha, turned, TURN_ROW, b + (p->tb == N_ ? k * p->ldb : k), p->ldb,
                k ? 1 : beta, c, ldc);
    }
}

/* c = alpha A B + beta c for the piece of C from (i, j) on, over the slice of K from k on. */
static void piece(const struct product *p, const struct cuts *s, size_t i, size_t j, size_t k, double beta, real *c, size_t ldc)
{
    const size_t m = p->M - i < s->m ? p->M - i : s->m, n = p->N - j < s->n ? p->N - j : s->n;
    const size_t depth = p->K - k < s->k ? p->K - k : s->k;
    const real *a = p->A + (p->ta == N_ ? i * p->lda + k : k * p->lda + i),
               *b = p->B + (p->tb == N_ ? k * p->ldb + j : j * p->ldb + k);
    if (p->turned && depth)
        turned_product(p, a, b, m, n, depth, beta, c, ldc);
    else
        tile_on(p->library, p->ta, p->tb, m, n, depth, p->alpha, a, p->lda, b, p->ldb, beta, c, ldc);
}

/* Room to work in. It is kept for the next call: fresh pages would cost as much as what is done in them. A call that comes while another
 * has it gets its own; one that gets none does without. */
struct room {
    size_t size;
    _Alignas(64) real numbers[];
};

static _Atomic(struct room *) spare;

static struct room *borrow_room(size_t size)
{
    struct room *room = atomic_exchange(&spare, NULL);
    if (room && room->size >= size)
        return room;
    free(room);
    room = aligned_alloc(64, sizeof *room + (size * sizeof(real) + 63) / 64 * 64);
    if (room)
        room->size = size;
    return room;
}

static void return_room(struct room *room)
{
    free(atomic_exchange(&spare, room));
}

/* sums: (slices - 1, M, N). */
static void add_slices(size_t slices, size_t M, size_t N, const real *sums, real *C, size_t ldc)
{
#pragma omp parallel for
    for (size_t i = 0; i < M; i++)
        for (size_t s = 0; s + 1 < slices; s++) {
            const real *x = sums + (s * M + i) * N;
#pragma omp simd
            for (size_t j = 0; j < N; j++)
                C[i * ldc + j] += x[j];
        }
}

void gemm_on(enum gemm_backend library, enum transpose ta, enum transpose tb, size_t M, size_t N, size_t K, double alpha,
             const real *A, size_t lda, const real *B, size_t ldb, double beta, real *C, size_t ldc)
{
    if (M == 0 || N == 0)
        return;
    const size_t sums_size = K >= LONG_SUM && M > 1 && M * N < SMALL_C ? SUMS : 0;
    const bool turn = ta == T_ && lda * sizeof(real) > PAGE && library != GEMM_OPENBLAS;
    const size_t size = sums_size + (turn ? (size_t)omp_get_max_threads() * TURNED : 0);
    struct room *room = size ? borrow_room(size) : NULL;
    real *sums = room && sums_size ? room->numbers : NULL;
    real *turned = room && turn ? room->numbers + sums_size : NULL;
    const struct product product = {library, ta, tb, M, N, K, lda, ldb, alpha, A, B, turned};
    const struct cuts cuts = (sums ? cut_long_sum : cut_product)(M, N, K, PIECE_M, PIECE_N);
    const size_t rows = ceil_div(M, cuts.m), columns = ceil_div(N, cuts.n), slices = ceil_div(K ? K : 1, cuts.k ? cuts.k : 1);
#pragma omp parallel for schedule(dynamic)
    for (size_t p = 0; p < slices * rows * columns; p++) {
        const size_t s = p / (rows * columns), i = p / columns % rows * cuts.m, j = p % columns * cuts.n;
        if (s == 0)
            piece(&product, &cuts, i, j, 0, beta, C + i * ldc + j, ldc);
        else
            piece(&product, &cuts, i, j, s * cuts.k, 0, sums + ((s - 1) * M + i) * N + j, N);
    }
    if (sums)
        add_slices(slices, M, N, sums, C, ldc);
    if (room)
        return_room(room);
}

void gemm(enum transpose ta, enum transpose tb, size_t M, size_t N, size_t K, double alpha, const real *A, size_t lda,
          const real *B, size_t ldb, double beta, real *C, size_t ldc)
{
    gemm_on(gemm_backend_choice(false, NULL), ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc);
}
#endif

#ifdef REAL_BF16
#define OPERAND(x) bf16_round(x)
#else
#define OPERAND(x) (x)
#endif

void gemm_plain(enum transpose ta, enum transpose tb, size_t M, size_t N, size_t K, double alpha, const real *A, size_t lda,
                const real *B, size_t ldb, double beta, real *C, size_t ldc)
{
    for (size_t i = 0; i < M; i++)
        for (size_t j = 0; j < N; j++) {
            acc sum = 0;
            for (size_t k = 0; k < K; k++)
                sum += (acc)OPERAND(A[ta == N_ ? i * lda + k : k * lda + i]) * OPERAND(B[tb == N_ ? k * ldb + j : j * ldb + k]);
            real *c = C + i * ldc + j;
            *c = (real)(alpha * sum + (beta == 0 ? 0 : beta * *c));
        }
}
