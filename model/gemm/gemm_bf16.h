/* gemm_bf16.h: products whose operands are rounded to bf16. See gemm_bf16.c. */
#ifndef GEMM_BF16_H
#define GEMM_BF16_H

#include "model/gemm/gemm_backend.h"
#include "model/gemm/product.h"

/* C (M,N) = alpha r(op(A)) r(op(B)) + beta C on all threads, where r rounds to the nearest bf16,
 * and products and sums are floats. The result does not depend on the number of threads. Returns 0,
 * or -1 if memory is short; C is then unchanged. */
int gemm_bf16(enum gemm_backend backend, const struct product *p);

/* See gemm_bytes. */
size_t gemm_bf16_bytes(size_t M, size_t N, size_t K);

#endif
