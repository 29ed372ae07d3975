/* gemm_onednn.h: the part of oneDNN that gemm uses, for versions 2 and 3. If oneDNN is not built
 * in, onednn_isa returns ONEDNN_ABSENT and the products return -1. */
#ifndef GEMM_ONEDNN_H
#define GEMM_ONEDNN_H

#include "model/gemm/product.h"
#include <stdbool.h>

/* The instruction sets that oneDNN's kernels can use on this machine, in ascending order. */
enum onednn_isa { ONEDNN_ABSENT, ONEDNN_OLD, ONEDNN_AVX2, ONEDNN_AVX512, ONEDNN_BF16, ONEDNN_AMX };
enum onednn_isa onednn_isa(void);

/* Computes a product of floats on the calling thread. Returns 0, or -1 on failure. */
int onednn_sgemm(const struct product *p);

/* C (M,N) = op(A) op(B), without gaps between rows. C is float; A and B are bf16, or float to test
 * the same code on machines without bf16 instructions. */
struct onednn_matmul {
    bool bf16, transpose_a, transpose_b;
    size_t M, N, K;
};

/* Computes it on the calling thread, with a scratchpad aligned to 64 bytes. ONEDNN_SCRATCHPAD bytes
 * have sufficed for every product so far. Returns 0, or -1 on failure. */
enum { ONEDNN_SCRATCHPAD = 2 << 20 };
int onednn_matmul(const struct onednn_matmul *p, const void *A, const void *B, float *C,
                  void *scratchpad, size_t scratchpad_bytes);

#endif
