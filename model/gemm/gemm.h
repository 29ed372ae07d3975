/* gemm.h: matrix products. The only door to OpenBLAS and oneDNN; a plain loop beside it is the oracle.
 *
 * All matrices are row-major with a leading dimension (elements from one row to the next), so a head of the queries is a
 * matrix too. The transpose is never the conjugate transpose.
 */
#ifndef GEMM_H
#define GEMM_H

#include "model/gemm/gemm_backend.h"
#include "model/real.h"
#include <stdbool.h>

#define gemm       NAME(gemm)
#define gemm_on    NAME(gemm_on)
#define gemm_bytes NAME(gemm_bytes)
#define gemm_two   NAME(gemm_two)
#define gemm_tile  NAME(gemm_tile)
#define gemm_plain NAME(gemm_plain)

enum transpose { N_, T_ };

/* C (M,N) = alpha op(A) op(B) + beta C, where op(A) is (M,K) and op(B) is (K,N), on all threads. C overlaps neither A nor B.
 * beta = 0 overwrites C without reading it. The result does not depend on the number of threads. The bf16 build rounds A and B to
 * bf16 as it reads them. */
void gemm(enum transpose ta, enum transpose tb, size_t M, size_t N, size_t K, double alpha,
          const real *A, size_t lda, const real *B, size_t ldb, double beta, real *C, size_t ldc);

struct product {
    enum transpose ta, tb;
    size_t M, N, K;
    double alpha;
    const real *A;
    size_t lda;
    const real *B;
    size_t ldb;
    double beta;
    real *C;
    size_t ldc;
};

/* Two of them, neither of which reads what the other writes: a thread that finds no more to do in the first goes on with the second. */
void gemm_two(const struct product *first, const struct product *second);

/* The same as gemm on a library of the caller's choice, for comparisons: gemm asks gemm_backend_choice. */
void gemm_on(enum gemm_backend library, enum transpose ta, enum transpose tb, size_t M, size_t N,
             size_t K, double alpha, const real *A, size_t lda, const real *B, size_t ldb,
             double beta, real *C, size_t ldc);

/* The most memory that these keep to work in, for a transposed A of up to M columns, a transposed B that lies as up to (M,N) or (N,M),
 * N <= M, and sums of up to K terms. What a library takes for itself is not counted. */
size_t gemm_bytes(size_t M, size_t N, size_t K);

/* The same as gemm on the caller's thread alone, from inside a parallel region, and without rounding to bf16. */
void gemm_tile(enum transpose ta, enum transpose tb, size_t M, size_t N, size_t K, double alpha,
               const real *A, size_t lda, const real *B, size_t ldb, double beta, real *C,
               size_t ldc);

/* The definition, as three loops. */
void gemm_plain(enum transpose ta, enum transpose tb, size_t M, size_t N, size_t K, double alpha,
                const real *A, size_t lda, const real *B, size_t ldb, double beta, real *C,
                size_t ldc);

#endif
