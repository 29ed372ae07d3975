/* gemm_onednn.h: what gemm needs of oneDNN, in one place for its versions 2 and 3, and absent where it is not built in. */
#ifndef GEMM_ONEDNN_H
#define GEMM_ONEDNN_H

#include <stdbool.h>
#include <stddef.h>

/* What oneDNN's kernels may use here, ascending. ONEDNN_ABSENT: not built in. */
enum onednn_isa { ONEDNN_ABSENT, ONEDNN_OLD, ONEDNN_AVX2, ONEDNN_AVX512, ONEDNN_BF16, ONEDNN_AMX };
enum onednn_isa onednn_isa(void);

/* C (M,N) = alpha op(A) op(B) + beta C on the caller's thread, row-major, as gemm_tile's. 0, or -1: not done. */
int onednn_sgemm(bool transpose_a, bool transpose_b, size_t M, size_t N, size_t K, float alpha,
                 const float *A, size_t lda, const float *B, size_t ldb, float beta, float *C,
                 size_t ldc);

/* C (M,N) = op(A) op(B), all without gaps between their rows, where A and B are floats, or with `bf16` the 16 bits of such numbers, and C is
 * float. (Training wants bf16 alone; floats take the same way, so that a machine without bf16 instructions can test it.) */
struct onednn_product {
    bool bf16, transpose_a, transpose_b;
    size_t M, N, K;
};

/* On the caller's thread alone, with so many bytes of its own to work in, at a multiple of 64; ONEDNN_ROOM is enough for every product
 * seen. 0, or -1: not done. */
enum { ONEDNN_ROOM = 2 << 20 };
int onednn_product(const struct onednn_product *p, const void *A, const void *B, float *C,
                   void *room, size_t room_bytes);

#endif
