/* gemm_parallel.c: see gemm_parallel.h.
 *
 * A threaded BLAS divides a product by the number of threads, and each division sums in a different
 * order. Here C is divided into pieces by its sizes alone (partition.c), one single-threaded call
 * computes each, and OpenMP distributes them: 1, 2 or 16 threads give the same bits. (In a parallel
 * region both libraries use one thread. openblas_set_num_threads would change OpenMP's setting for
 * the whole process.)
 *
 * If C is small and the sum is long, as in a weight's gradient, which sums over all tokens, K is
 * split instead, again by the sizes alone:
 *
 *     C = alpha A_1 B_1 + beta C,   S_i = alpha A_i B_i for the other slices,   C += S_2, ...
 *
 * At the end of a parallel loop, threads wait for the slowest. So the last pieces are divided once
 * more, and two independent products share one loop.
 *
 * If the rows of a transposed A are more than a page apart, each element of a column is on another
 * page, and oneDNN, which copies a few columns at a time, drops to half or two thirds of its speed.
 * Such an A is first transposed, one block at a time, into a buffer that fits a cache. oneDNN
 * copies a transposed B for each row of pieces; if C has enough rows, all of B is transposed
 * beforehand.
 */
#include "model/gemm/gemm_parallel.h"
#include "base/minmax.h"
#include "model/gemm/few_rows.h"
#include "model/gemm/gemm_onednn.h"
#include "model/gemm/partition.h"
#include "model/gemm/tile.h"
#include "model/gemm/workspace.h"
#include "model/real.h"
#include <cblas.h>
#include <omp.h>

#if defined REAL_F64
#define CBLAS_GEMM cblas_dgemm
#define SCALAR(x)  (x)
#elif defined REAL_C128
#define CBLAS_GEMM cblas_zgemm
#define SCALAR(x)  (&(x))
#else
#define CBLAS_GEMM cblas_sgemm
#define SCALAR(x)  (x)
#endif

void gemm_single(enum gemm_backend backend, const struct product *p)
{
    ASSERT(p->M <= INT32_MAX && p->N <= INT32_MAX && p->K <= INT32_MAX && p->lda <= INT32_MAX &&
           p->ldb <= INT32_MAX && p->ldc <= INT32_MAX);
    if (has_few_rows(p)) {
        few_rows_product(p);
        return;
    }
    (void)backend;
#if defined REAL_F32 || defined REAL_BF16
    if (backend != GEMM_OPENBLAS && p->K > 0 && onednn_sgemm(p) == 0)
        return;
#endif
    const real alpha = p->alpha, beta = p->beta;
    CBLAS_GEMM(CblasRowMajor, p->ta == N_ ? CblasNoTrans : CblasTrans,
               p->tb == N_ ? CblasNoTrans : CblasTrans, p->M, p->N, p->K, SCALAR(alpha), p->A,
               p->lda, p->B, p->ldb, SCALAR(beta), p->C, p->ldc);
}

enum {
    PIECE_M = 1024,
    PIECE_N = 768,
    LONG_SUM = 4096,
    SMALL_C = 4 * PIECE_M * PIECE_N,
    SUMS =
        3 * SMALL_C, /* elements of all slices but the first: of one piece seven, which is less */
    PAGE = 4096,     /* bytes */
    BLOCK_K = 256,   /* rows of a transposed A that are transposed at a time */
    BLOCK_LD = BLOCK_K + 16,
    BLOCK = PIECE_M * BLOCK_LD,
    B_ROWS = 32,         /* of a transposed B that a thread transposes at a time */
    MAX_B = 4608 * 1024, /* elements of a B that is transposed */
    LAST_PIECES = 2,     /* of a loop: each is divided into PARTS parts */
    PARTS = 4,
    MIN_PART_M = 64, /* rows */
    UNIT = 16        /* parts have a multiple of it; floats of a cache line */
};

/* A product and how it is computed. */
struct job {
    struct product p;
    enum gemm_backend backend;
    struct piece piece;
    size_t rows, columns, slices, pieces; /* pieces = rows * columns * slices */
    real *sums;   /* (slices - 1, M, N): all slices but the first; NULL if K is not split */
    real *blocks; /* BLOCK elements per thread for blocks of A; NULL if A is used in place */
};

/* Computes a product whose A is transposed into `block`, BLOCK_K rows at a time. */
static void multiply_by_blocks(enum gemm_backend backend, const struct product *p, real *block)
{
    struct product q = *p;
    q.ta = N_, q.A = block, q.lda = BLOCK_LD;
    for (size_t k = 0; k < p->K; k += BLOCK_K) {
        q.K = size_min(p->K - k, BLOCK_K);
        tile_transpose(block, BLOCK_LD, p->A + k * p->lda, p->lda, q.K, p->M);
        q.B = p->B + (p->tb == N_ ? k * p->ldb : k);
        q.beta = k ? 1 : p->beta;
        gemm_single(backend, &q);
    }
}

/* Computes rows [i, i + m) of a piece of C that starts at column j, over one slice of K. */
static void multiply_rows(const struct job *job, size_t i, size_t m, size_t j, size_t slice)
{
    const size_t k = slice * job->piece.k;
    struct product p = job->p;
    p.M = m;
    p.N = size_min(p.N - j, job->piece.n);
    p.K = size_min(p.K - k, job->piece.k);
    p.A += p.ta == N_ ? i * p.lda + k : k * p.lda + i;
    p.B += p.tb == N_ ? k * p.ldb + j : j * p.ldb + k;
    p.C += i * p.ldc + j;
    if (slice) {
        p.C = job->sums + ((slice - 1) * job->p.M + i) * job->p.N + j;
        p.ldc = job->p.N;
        p.beta = 0;
    }
    if (job->blocks && p.K)
        multiply_by_blocks(job->backend, &p, job->blocks + (size_t)omp_get_thread_num() * BLOCK);
    else
        gemm_single(job->backend, &p);
}

/* Computes one of several parts of a piece, divided by rows. */
static void multiply_part(const struct job *job, size_t piece, size_t part, size_t parts)
{
    const size_t i = piece / job->columns % job->rows * job->piece.m,
                 j = piece % job->columns * job->piece.n, m = size_min(job->p.M - i, job->piece.m),
                 part_m = parts > 1 ? ceil_div(ceil_div(m, parts), UNIT) * UNIT : m,
                 step = size_max(part_m, MIN_PART_M), first = part * step;
    if (first < m)
        multiply_rows(job, i + first, size_min(m - first, step), j,
                      piece / (job->rows * job->columns));
}

static void add_slices(const struct job *job)
{
    const struct product *p = &job->p;
#pragma omp parallel for collapse(2)
    for (size_t i = 0; i < p->M; i++)
        for (size_t j0 = 0; j0 < p->N; j0 += PIECE_N)
            for (size_t s = 0; s + 1 < job->slices; s++) {
                const real *x = job->sums + (s * p->M + i) * p->N;
                const size_t end = size_min(p->N, j0 + PIECE_N);
#pragma omp simd
                for (size_t j = j0; j < end; j++)
                    p->C[i * p->ldc + j] += x[j];
            }
}

/* Runs one or two jobs. */
static void run(const struct job jobs[2])
{
    const size_t first = jobs[0].pieces, all = first + jobs[1].pieces,
                 whole = all > LAST_PIECES ? all - LAST_PIECES : 0;
#pragma omp parallel for schedule(dynamic)
    for (size_t u = 0; u < whole + (all - whole) * PARTS; u++) {
        const size_t p = u < whole ? u : whole + (u - whole) / PARTS;
        multiply_part(&jobs[p >= first], p < first ? p : p - first,
                      u < whole ? 0 : (u - whole) % PARTS, u < whole ? 1 : PARTS);
    }
    for (size_t i = 0; i < 2; i++)
        if (jobs[i].sums)
            add_slices(&jobs[i]);
}

/* Whether reading B dominates, so that each thread should read one contiguous part of it. */
static bool reads_b(const struct product *p)
{
    return has_few_rows(p) && p->M * p->N < PIECE_M * PIECE_N;
}

/* The most elements of partial sums if K is split; 0 if not. */
static size_t sums_size(const struct product *p)
{
    if (reads_b(p))
        return p->tb == N_ ? (MAX_PARTS - 1) * p->M * p->N : 0;
    return p->K >= LONG_SUM && p->M * p->N < SMALL_C ? SUMS : 0;
}

/* Elements of the blocks of A of all threads; 0 if A is used in place. */
static size_t blocks_size(const struct product *p, enum gemm_backend backend)
{
    return p->ta == T_ && p->lda * sizeof(real) > PAGE && backend != GEMM_OPENBLAS
               ? (size_t)omp_get_max_threads() * BLOCK
               : 0;
}

/* The leading dimension of a transposed copy of B: an odd number of cache lines, since rows a page
 * apart would share the sets of a cache. */
static size_t transposed_ld(const struct product *p)
{
    return (ceil_div(p->N, UNIT) | 1) * UNIT;
}

/* Elements of the transposed copy of B; 0 if B is used in place. With few rows of C, transposing
 * takes longer than it saves. */
static size_t transposed_b_size(const struct product *p, enum gemm_backend backend)
{
    const size_t size = p->K * transposed_ld(p);
    return p->tb == T_ && backend != GEMM_OPENBLAS && p->M >= PIECE_M && size <= MAX_B ? size : 0;
}

/* Transposes B to `copy`; returns the product with that copy. */
static struct product transpose_b(const struct product *p, real *copy)
{
    struct product q = *p;
    q.tb = N_, q.B = copy, q.ldb = transposed_ld(p);
#pragma omp parallel for schedule(dynamic)
    for (size_t j = 0; j < p->N; j += B_ROWS)
        tile_transpose(copy + j, q.ldb, p->B + j * p->ldb, p->ldb, size_min(p->N - j, B_ROWS),
                       p->K);
    return q;
}

static struct job job_of(const struct product *p, enum gemm_backend backend, real *sums,
                         real *blocks)
{
    struct job job = {.p = *p, .backend = backend, .sums = sums, .blocks = blocks, .slices = 1};
    if (p->M == 0 || p->N == 0)
        return job;
    if (!reads_b(p))
        job.piece = (sums ? partition_k : partition_c)(p->M, p->N, p->K, PIECE_M, PIECE_N);
    else if (sums)
        job.piece = (struct piece){p->M, p->N, part_length(p->K)};
    else
        job.piece = (struct piece){p->M, part_length(p->N), p->K};
    job.rows = ceil_div(p->M, job.piece.m);
    job.columns = ceil_div(p->N, job.piece.n);
    if (p->K)
        job.slices = ceil_div(p->K, job.piece.k);
    job.pieces = job.rows * job.columns * job.slices;
    return job;
}

/* If both products could be split along K, only the first is. Without memory for the workspace,
 * nothing is split or transposed. */
void gemm_parallel(enum gemm_backend backend, const struct product *products, size_t n)
{
    static _Atomic(struct workspace *) idle;
    size_t sums_total = 0, blocks_total = 0, b_total = 0;
    for (size_t i = 0; i < n; i++) {
        sums_total = sums_total ? sums_total : sums_size(&products[i]);
        blocks_total = size_max(blocks_total, blocks_size(&products[i], backend));
        b_total += transposed_b_size(&products[i], backend);
    }
    const size_t total = sums_total + blocks_total + b_total;
    struct workspace *w = total ? workspace_take(&idle, total * sizeof(real)) : NULL;
    real *sums = w ? (real *)w->data : NULL, *blocks = w ? sums + sums_total : NULL,
         *b = w ? blocks + blocks_total : NULL;
    struct job jobs[2] = {0};
    for (size_t i = 0; i < n; i++) {
        const size_t b_size = w ? transposed_b_size(&products[i], backend) : 0;
        struct product p = products[i];
        if (b_size) {
            p = transpose_b(&products[i], b);
            b += b_size;
        }
        jobs[i] = job_of(&p, backend, sums_size(&p) ? sums : NULL,
                         blocks_size(&p, backend) ? blocks : NULL);
        sums = jobs[i].sums ? NULL : sums;
    }
    run(jobs);
    workspace_put_back(&idle, w);
}

size_t gemm_parallel_bytes(size_t M, size_t N, size_t K)
{
    const enum gemm_backend backend = gemm_backend_choice(false, NULL);
    const size_t few_rows = size_min(FEW_ROWS * M, PIECE_M * PIECE_N),
                 sums = K >= LONG_SUM ? SUMS : (MAX_PARTS - 1) * few_rows,
                 blocks = blocks_size(&(struct product){.ta = T_, .lda = M}, backend),
                 b = size_min(M * (N + 2 * UNIT), backend == GEMM_OPENBLAS ? 0 : MAX_B),
                 total = sums + blocks + b;
    return total ? sizeof(struct workspace) + total * sizeof(real) : 0;
}
