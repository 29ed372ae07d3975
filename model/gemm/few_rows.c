/* few_rows.c: see few_rows.h.
 *
 *     C_mj += sum_k (alpha A_mk) B_kj     DEPTH rows of B at a time are added to the rows of C
 *     C_mj += alpha sum_k A_mk B_jk       each row of B is multiplied by the rows of A
 *
 * The rows of C and A stay in the cache, and B is read in the order of memory, a few rows side by
 * side, which hardware prefetchers handle best. Strips of columns, as a BLAS reads them, reach half
 * of that bandwidth; so do one row of B at a time, where each line is followed by an update of C,
 * and 16 or more rows. A BLAS also copies all of B if A has more than one row.
 */
#include "model/gemm/few_rows.h"
#include "base/minmax.h"
#include "model/real.h"

enum {
    DEPTH = 8,
    STRIP = 512 /* columns of B kept in the first-level cache for all rows of A */
};

bool has_few_rows(const struct product *p)
{
    return p->ta == N_ && p->M <= (p->tb == N_ ? FEW_ROWS : 1);
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

/* Terms [k, k + depth) of the sum. */
static void add_terms(const struct product *p, size_t k, size_t depth)
{
    const size_t strip = p->M == 1 ? p->N : STRIP;
    for (size_t j = 0; j < p->N; j += strip) {
        const size_t n = size_min(p->N - j, strip);
        const real *b = p->B + k * p->ldb + j;
        for (size_t m = 0; m < p->M; m++) {
            real a[DEPTH];
            for (size_t i = 0; i < depth; i++)
                a[i] = (real)p->alpha * p->A[m * p->lda + k + i];
            if (depth == DEPTH)
                add_rows(p->C + m * p->ldc + j, a, b, p->ldb, n);
            else
                add_some_rows(p->C + m * p->ldc + j, a, depth, b, p->ldb, n);
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

void few_rows_product(const struct product *p)
{
    for (size_t m = 0; m < p->M; m++)
        scale(p->C + m * p->ldc, (real)p->beta, p->N);
    if (p->tb == N_)
        for (size_t k = 0; k < p->K; k += DEPTH)
            add_terms(p, k, size_min(p->K - k, DEPTH));
    else
        for (size_t m = 0; m < p->M; m++)
            for (size_t j = 0; j < p->N; j++)
                p->C[m * p->ldc + j] +=
                    (real)p->alpha * dot(p->A + m * p->lda, p->B + j * p->ldb, p->K);
}
