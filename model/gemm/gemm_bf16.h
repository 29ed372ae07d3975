/* gemm_bf16.h: products whose operands are rounded to bf16. See gemm_bf16.c. */
#ifndef GEMM_BF16_H
#define GEMM_BF16_H

#include "model/gemm/gemm.h"

/* C (M,N) = alpha r(op(A)) r(op(B)) + beta C on all threads, where r rounds to the nearest bf16, and products and sums are float's.
 * The result does not depend on the number of threads. 0, or -1: no memory to round into, and C as it was. */
int gemm_bf16_on(enum gemm_backend library, enum transpose ta, enum transpose tb, size_t M,
                 size_t N, size_t K, double alpha, const float *A, size_t lda, const float *B,
                 size_t ldb, double beta, float *C, size_t ldc);

/* See gemm_bytes. */
size_t gemm_bf16_bytes(size_t M, size_t N, size_t K);

#endif
