/* few_rows.c: see few_rows.h.
 *
 *     C_mj += sum_k (alpha A_mk) B_kj     DEPTH rows of B at a time are added to the rows of C, which a cache holds
 *     C_mj += alpha sum_k A_mk B_jk       each row of B is multiplied by a row of A, which a cache holds
 *
 * Either way B is read in the order of memory, a few rows side by side: that is what a processor fetches ahead by itself. A strip of columns,
 * all rows of it one after another, comes at half the speed; and so did one row of B at a time, whose every line is an addition to C,
 * and 16 or more (docs/performance.md). A BLAS has the first one in strips, and copies all of B for more than one row.
 */
#include "model/gemm/few_rows.h"
#include "model/real.h"

enum {
    DEPTH = 8,
    STRIP =
        512 /* columns of B that stay in the first cache until all rows of A were multiplied by them */
};

bool few_rows(enum transpose ta, enum transpose tb, size_t M)
{
    return ta == N_ && M <= (tb == N_ ? FEW_ROWS : 1);
}

static void scale(real *c, real beta, size_t n)
{
    for (size_t j = 0; j < n; j++)
        c[j] = beta == 0 ? 0 : beta * c[j];
}

/* c (n) += a (DEPTH) b (DEPTH,n) */
static void add_rows(real *restrict c, const real a[DEPTH], const real *restrict b, size_t ldb,
                     size_t n)
{
    const real *b1 = b + ldb, *b2 = b1 + ldb, *b3 = b2 + ldb, *b4 = b3 + ldb, *b5 = b4 + ldb,
               *b6 = b5 + ldb, *b7 = b6 + ldb;
#pragma omp simd
    for (size_t j = 0; j < n; j++)
        c[j] += a[0] * b[j] + a[1] * b1[j] + a[2] * b2[j] + a[3] * b3[j] + a[4] * b4[j] +
                a[5] * b5[j] + a[6] * b6[j] + a[7] * b7[j];
}

/* c (n) += a (depth) b (depth,n) */
static void add_some_rows(real *restrict c, const real *a, size_t depth, const real *restrict b,
                          size_t ldb, size_t n)
{
    for (size_t k = 0; k < depth; k++) {
        const real x = a[k];
#pragma omp simd
        for (size_t j = 0; j < n; j++)
            c[j] += x * b[k * ldb + j];
    }
}

/* The terms k to k + depth of the sum. */
static void add_terms(size_t M, size_t N, size_t k, size_t depth, real alpha, const real *A,
                      size_t lda, const real *B, size_t ldb, real *C, size_t ldc)
{
    const size_t strip = M == 1 ? N : STRIP;
    for (size_t j = 0; j < N; j += strip) {
        const size_t n = N - j < strip ? N - j : strip;
        for (size_t m = 0; m < M; m++) {
            real a[DEPTH];
            for (size_t i = 0; i < depth; i++)
                a[i] = alpha * A[m * lda + k + i];
            if (depth == DEPTH)
                add_rows(C + m * ldc + j, a, B + k * ldb + j, ldb, n);
            else
                add_some_rows(C + m * ldc + j, a, depth, B + k * ldb + j, ldb, n);
        }
    }
}

static real dot(const real *a, const real *b, size_t n)
{
    real sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

void few_rows_product(enum transpose tb, size_t M, size_t N, size_t K, double alpha, const real *A,
                      size_t lda, const real *B, size_t ldb, double beta, real *C, size_t ldc)
{
    for (size_t m = 0; m < M; m++)
        scale(C + m * ldc, (real)beta, N);
    if (tb == N_)
        for (size_t k = 0; k < K; k += DEPTH)
            add_terms(M, N, k, K - k < DEPTH ? K - k : DEPTH, (real)alpha, A, lda, B, ldb, C, ldc);
    else
        for (size_t m = 0; m < M; m++)
            for (size_t j = 0; j < N; j++)
                C[m * ldc + j] += (real)alpha * dot(A + m * lda, B + j * ldb, K);
}
