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
 * At the end of a loop threads wait for the one that came last to its piece, so the last pieces are cut once more, and two products that
 * do not depend on each other share one loop.
 *
 * A transposed A whose rows are further apart than a page has each number of a column on another page, and oneDNN, which copies it a few
 * columns at a time, gets to half or two thirds of its speed. Such an A is turned round first, a block at a time that a cache holds. A
 * transposed B is copied again for each piece of C above another: where there are rows enough, all of it is turned round once, before.
 *
 * A few rows of A, as in decoding, cost the reading of B, for which neither library is made: few_rows.c.
 */
#include "model/gemm/gemm.h"
#include "model/gemm/bf16.h"
#include "model/gemm/few_rows.h"
#include "model/gemm/gemm_bf16.h"
#include "model/gemm/gemm_cut.h"
#include "model/gemm/gemm_onednn.h"
#include "model/gemm/tile.h"
#include "model/real.h"
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
    TURNED = PIECE_M * TURN_ROW,
    TURN_B_ROWS = 32,       /* of a transposed B that a thread turns at a time */
    TURNED_B = 4608 * 1024, /* numbers of a B that is turned, at most */
    LAST_PIECES = 2,        /* of a loop: they are done in parts, */
    PARTS = 4,              /* as many, */
    PART_M = 64,            /* of so many rows at least */
    PART_UNIT = 16
};

static void tile_on(enum gemm_backend library, enum transpose ta, enum transpose tb, size_t M,
                    size_t N, size_t K, double alpha, const real *A, size_t lda, const real *B,
                    size_t ldb, double beta, real *C, size_t ldc)
{
    ASSERT(M <= INT32_MAX && N <= INT32_MAX && K <= INT32_MAX && lda <= INT32_MAX &&
           ldb <= INT32_MAX && ldc <= INT32_MAX);
    const real a = alpha, b = beta; /* complex calls take them by address */
    const int m = (int)M, n = (int)N, k = (int)K, la = (int)lda, lb = (int)ldb, lc = (int)ldc;
    const CBLAS_TRANSPOSE op_a = ta == N_ ? CblasNoTrans : CblasTrans,
                          op_b = tb == N_ ? CblasNoTrans : CblasTrans;
    if (few_rows(ta, tb, M)) {
        few_rows_product(tb, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc);
        return;
    }
#if defined REAL_F64
    (void)library;
    cblas_dgemm(CblasRowMajor, op_a, op_b, m, n, k, a, A, la, B, lb, b, C, lc);
#elif defined REAL_C128
    (void)library;
    cblas_zgemm(CblasRowMajor, op_a, op_b, m, n, k, &a, A, la, B, lb, &b, C, lc);
#else
    if (library != GEMM_OPENBLAS && K > 0 &&
        onednn_sgemm(ta == T_, tb == T_, M, N, K, a, A, lda, B, ldb, b, C, ldc) == 0)
        return;
    cblas_sgemm(CblasRowMajor, op_a, op_b, m, n, k, a, A, la, B, lb, b, C, lc);
#endif
}

void gemm_tile(enum transpose ta, enum transpose tb, size_t M, size_t N, size_t K, double alpha,
               const real *A, size_t lda, const real *B, size_t ldb, double beta, real *C,
               size_t ldc)
{
    tile_on(gemm_backend_choice(false, NULL), ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc);
}

#ifdef REAL_BF16
void gemm_on(enum gemm_backend library, enum transpose ta, enum transpose tb, size_t M, size_t N,
             size_t K, double alpha, const real *A, size_t lda, const real *B, size_t ldb,
             double beta, real *C, size_t ldc)
{
    if (gemm_bf16_on(library, ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, C,
                     ldc)) /* no memory to round into */
        gemm_plain(ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc);
}

void gemm(enum transpose ta, enum transpose tb, size_t M, size_t N, size_t K, double alpha,
          const real *A, size_t lda, const real *B, size_t ldb, double beta, real *C, size_t ldc)
{
    gemm_on(gemm_backend_choice(true, NULL), ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc);
}

size_t gemm_bytes(size_t M, size_t N, size_t K)
{
    return gemm_bf16_bytes(M, N, K);
}

void gemm_two(const struct product *first, const struct product *second)
{
    for (const struct product *p = first; p; p = p == first ? second : NULL)
        gemm(p->ta, p->tb, p->M, p->N, p->K, p->alpha, p->A, p->lda, p->B, p->ldb, p->beta, p->C,
             p->ldc);
}
#else
/* A product and how it is done. */
struct job {
    struct product p;
    enum gemm_backend library;
    struct cuts cuts;
    size_t rows, columns, slices; /* pieces */
    real *sums;   /* (slices - 1, M, N), all slices but the first; NULL: the sum is not cut */
    real *turned; /* TURNED numbers for each thread, to turn A in; NULL: A stays as it is */
};

/* c = alpha A B + beta c for (m, depth) of A and (depth, n) of B. */
static void turned_product(const struct job *job, const real *a, const real *b, size_t m, size_t n,
                           size_t depth, double beta, real *c, size_t ldc)
{
    const struct product *p = &job->p;
    real *turned = job->turned + (size_t)omp_get_thread_num() * TURNED;
    for (size_t k = 0; k < depth; k += TURN_DEPTH) {
        const size_t d = depth - k < TURN_DEPTH ? depth - k : TURN_DEPTH;
        tile_transpose(turned, TURN_ROW, a + k * p->lda, p->lda, d, m);
        tile_on(job->library, N_, p->tb, m, n, d, p->alpha, turned, TURN_ROW,
                b + (p->tb == N_ ? k * p->ldb : k), p->ldb, k ? 1 : beta, c, ldc);
    }
}

/* Rows i to i + m of a piece of C: its columns from j on, over the slice of K that is `slice`. */
static void rows_of_piece(const struct job *job, size_t i, size_t m, size_t j, size_t slice)
{
    const struct product *p = &job->p;
    const struct cuts *s = &job->cuts;
    const size_t k = slice * s->k, n = p->N - j < s->n ? p->N - j : s->n,
                 depth = p->K - k < s->k ? p->K - k : s->k;
    const real *a = p->A + (p->ta == N_ ? i * p->lda + k : k * p->lda + i),
               *b = p->B + (p->tb == N_ ? k * p->ldb + j : j * p->ldb + k);
    real *c = slice ? job->sums + ((slice - 1) * p->M + i) * p->N + j : p->C + i * p->ldc + j;
    const size_t ldc = slice ? p->N : p->ldc;
    const double beta = slice ? 0 : p->beta;
    if (job->turned && depth)
        turned_product(job, a, b, m, n, depth, beta, c, ldc);
    else
        tile_on(job->library, p->ta, p->tb, m, n, depth, p->alpha, a, p->lda, b, p->ldb, beta, c,
                ldc);
}

static size_t pieces(const struct job *job)
{
    return job->slices * job->rows * job->columns;
}

/* One of several parts of a piece, from its first rows to its last. */
static void part_of_piece(const struct job *job, size_t piece, size_t part, size_t parts)
{
    const size_t i = piece / job->columns % job->rows * job->cuts.m,
                 j = piece % job->columns * job->cuts.n;
    const size_t m = job->p.M - i < job->cuts.m ? job->p.M - i : job->cuts.m;
    size_t most = parts > 1 ? ceil_div(ceil_div(m, parts), PART_UNIT) * PART_UNIT : m;
    if (most < PART_M)
        most = PART_M;
    const size_t from = part * most;
    if (from < m)
        rows_of_piece(job, i + from, m - from < most ? m - from : most, j,
                      piece / (job->rows * job->columns));
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

static void add_slices(const struct job *job)
{
    const struct product *p = &job->p;
#pragma omp parallel for collapse(2)
    for (size_t i = 0; i < p->M; i++)
        for (size_t j0 = 0; j0 < p->N; j0 += PIECE_N)
            for (size_t s = 0; s + 1 < job->slices; s++) {
                const real *x = job->sums + (s * p->M + i) * p->N;
                const size_t end = p->N - j0 < PIECE_N ? p->N : j0 + PIECE_N;
#pragma omp simd
                for (size_t j = j0; j < end; j++)
                    p->C[i * p->ldc + j] += x[j];
            }
}

/* Whose B is to be read as it lies, each thread a part of it in one go. */
static bool reads_only(const struct product *p)
{
    return few_rows(p->ta, p->tb, p->M) && p->M * p->N < PIECE_M * PIECE_N;
}

/* How many sums, at most, are put aside when K is cut; 0: it is not. */
static size_t sums_aside(const struct product *p)
{
    if (reads_only(p))
        return p->tb == N_ ? (LONG_PIECES - 1) * p->M * p->N : 0;
    return p->K >= LONG_SUM && p->M * p->N < SMALL_C ? SUMS : 0;
}

static struct cuts cuts_of(const struct product *p, bool cut_sum)
{
    if (reads_only(p))
        return cut_sum ? (struct cuts){p->M, p->N, cut_length(p->K)}
                       : (struct cuts){p->M, cut_length(p->N), p->K};
    return (cut_sum ? cut_long_sum : cut_product)(p->M, p->N, p->K, PIECE_M, PIECE_N);
}

static bool turns(enum transpose ta, size_t lda, enum gemm_backend library)
{
    return ta == T_ && lda * sizeof(real) > PAGE && library != GEMM_OPENBLAS;
}

/* From one row of a turned B to the next: an odd number of cache lines, since rows a page apart would share the sets of a cache. */
static size_t turned_b_row(const struct product *p)
{
    return (ceil_div(p->N, PART_UNIT) | 1) * PART_UNIT;
}

/* Numbers of B turned round; 0: it stays as it is. For few rows of C turning costs more than it gives. */
static size_t turned_b_size(const struct product *p, enum gemm_backend library)
{
    const size_t size = p->K * turned_b_row(p);
    return p->tb == T_ && library != GEMM_OPENBLAS && p->M >= PIECE_M && size <= TURNED_B ? size
                                                                                          : 0;
}

/* The same product, of a B that was turned round into `turned`. */
static struct product turn_b(const struct product *p, real *turned)
{
    struct product q = *p;
    q.tb = N_;
    q.B = turned;
    q.ldb = turned_b_row(p);
#pragma omp parallel for schedule(dynamic)
    for (size_t j = 0; j < p->N; j += TURN_B_ROWS)
        tile_transpose(turned + j, q.ldb, p->B + j * p->ldb, p->ldb,
                       p->N - j < TURN_B_ROWS ? p->N - j : TURN_B_ROWS, p->K);
    return q;
}

static struct job job_of(const struct product *p, enum gemm_backend library, real *sums,
                         real *turned)
{
    struct job job = {.p = *p, .library = library, .sums = sums, .turned = turned, .slices = 1};
    if (p->M == 0 || p->N == 0)
        return job;
    job.cuts = cuts_of(p, sums);
    job.rows = ceil_div(p->M, job.cuts.m);
    job.columns = ceil_div(p->N, job.cuts.n);
    if (p->K)
        job.slices = ceil_div(p->K, job.cuts.k);
    return job;
}

/* One or two jobs. */
static void work(const struct job *jobs, size_t n)
{
    const size_t first = pieces(&jobs[0]), all = first + (n > 1 ? pieces(&jobs[1]) : 0);
    const size_t whole = all > LAST_PIECES ? all - LAST_PIECES : 0;
#pragma omp parallel for schedule(dynamic)
    for (size_t u = 0; u < whole + (all - whole) * PARTS; u++) {
        const size_t p = u < whole ? u : whole + (u - whole) / PARTS;
        part_of_piece(&jobs[p >= first], p < first ? p : p - first,
                      u < whole ? 0 : (u - whole) % PARTS, u < whole ? 1 : PARTS);
    }
    for (size_t i = 0; i < n; i++)
        if (jobs[i].sums)
            add_slices(&jobs[i]);
}

/* What several products need to work in, in this order. */
struct need {
    size_t sums, turned_a, turned_b; /* numbers */
};

/* Of two sums that could be cut the first is. */
static struct need need_of(enum gemm_backend library, const struct product *p, size_t n)
{
    struct need need = {0, 0, 0};
    for (size_t i = 0; i < n; i++) {
        need.sums = need.sums ? need.sums : sums_aside(&p[i]);
        if (turns(p[i].ta, p[i].lda, library))
            need.turned_a = (size_t)omp_get_max_threads() * TURNED;
        need.turned_b += turned_b_size(&p[i], library);
    }
    return need;
}

static void products(enum gemm_backend library, const struct product *p, size_t n)
{
    const struct need need = need_of(library, p, n);
    const size_t size = need.sums + need.turned_a + need.turned_b;
    struct room *room = size ? borrow_room(size) : NULL;
    real *sums = room ? room->numbers : NULL, *turned_a = room ? sums + need.sums : NULL,
         *turned_b = room ? turned_a + need.turned_a : NULL;
    struct job jobs[2] = {{.library = library}};
    for (size_t i = 0; i < n; i++) {
        const size_t b_size = room ? turned_b_size(&p[i], library) : 0;
        struct product q = p[i];
        if (b_size) {
            q = turn_b(&p[i], turned_b);
            turned_b += b_size;
        }
        jobs[i] = job_of(&q, library, sums_aside(&q) ? sums : NULL,
                         turns(q.ta, q.lda, library) ? turned_a : NULL);
        sums = jobs[i].sums ? NULL : sums;
    }
    work(jobs, n);
    if (room)
        return_room(room);
}

size_t gemm_bytes(size_t M, size_t N, size_t K)
{
    const enum gemm_backend library = gemm_backend_choice(false, NULL);
    const size_t b = M * (N + 2 * PART_UNIT), most_b = library == GEMM_OPENBLAS ? 0 : TURNED_B;
    const size_t few = FEW_ROWS * M < PIECE_M * PIECE_N
                           ? FEW_ROWS * M
                           : PIECE_M * PIECE_N; /* numbers of a C of few rows */
    const size_t numbers = (K >= LONG_SUM ? SUMS : (LONG_PIECES - 1) * few) +
                           (turns(T_, M, library) ? (size_t)omp_get_max_threads() * TURNED : 0) +
                           (b < most_b ? b : most_b);
    return numbers ? sizeof(struct room) + numbers * sizeof(real) : 0;
}

void gemm_on(enum gemm_backend library, enum transpose ta, enum transpose tb, size_t M, size_t N,
             size_t K, double alpha, const real *A, size_t lda, const real *B, size_t ldb,
             double beta, real *C, size_t ldc)
{
    products(library, &(struct product){ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc}, 1);
}

void gemm_two(const struct product *first, const struct product *second)
{
    products(gemm_backend_choice(false, NULL), (struct product[]){*first, *second}, 2);
}

void gemm(enum transpose ta, enum transpose tb, size_t M, size_t N, size_t K, double alpha,
          const real *A, size_t lda, const real *B, size_t ldb, double beta, real *C, size_t ldc)
{
    gemm_on(gemm_backend_choice(false, NULL), ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc);
}
#endif

#ifdef REAL_BF16
#define OPERAND(x) bf16_round(x)
#else
#define OPERAND(x) (x)
#endif

void gemm_plain(enum transpose ta, enum transpose tb, size_t M, size_t N, size_t K, double alpha,
                const real *A, size_t lda, const real *B, size_t ldb, double beta, real *C,
                size_t ldc)
{
    for (size_t i = 0; i < M; i++)
        for (size_t j = 0; j < N; j++) {
            acc sum = 0;
            for (size_t k = 0; k < K; k++)
                sum += (acc)OPERAND(A[ta == N_ ? i * lda + k : k * lda + i]) *
                       OPERAND(B[tb == N_ ? k * ldb + j : j * ldb + k]);
            real *c = C + i * ldc + j;
            *c = (real)(alpha * sum + (beta == 0 ? 0 : beta * *c));
        }
}
