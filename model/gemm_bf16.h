/* gemm_bf16.h: a piece of a product whose operands are rounded to bf16, on the caller's thread. See gemm_bf16.c. */
#ifndef GEMM_BF16_H
#define GEMM_BF16_H

#include "gemm.h"

enum { BF16_PIECE_M = 256, BF16_PIECE_N = 512 }; /* of C, at most */

/* C (M,N) = alpha r(op(A)) r(op(B)) + beta C, where r rounds to the nearest bf16, and products and sums are float's. On
 * oneDNN it uses bf16 instructions where there are any. */
void gemm_bf16_piece(enum gemm_backend library, enum transpose ta, enum transpose tb, size_t M, size_t N, size_t K, float alpha,
                     const float *A, size_t lda, const float *B, size_t ldb, float beta, float *C, size_t ldc);

#endif
