/* gemm_bf16.c: products with operands rounded to bf16 (mixed precision: Kalamkar et al. 2019, arXiv:1905.12322).
 *
 * The product of two bf16 numbers is exact in float, so all that is lost is the operands' rounding, 2^-8 of each; sums are
 * float's. A thread copies a strip of A and one of B, rounded, into buffers on its stack, as they lie (a transposed operand stays
 * transposed), has them multiplied into a third, and adds that to C. So no rounded copy of a whole matrix is kept anywhere, an
 * element of A is rounded once for 512 columns of C, one of B once for 256 rows.
 *
 * Where the processor has no bf16 instructions, the rounded numbers stay floats and are multiplied as floats.
 */
#include "gemm_bf16.h"
#include "bf16.h"
#include "gemm_backend.h"
#include "gemm_onednn.h"

enum { DEPTH = 512, FLOAT_DEPTH = DEPTH / 2 }; /* of a strip: floats are twice as wide */

/* Numbers of a strip: bf16, or floats that are bf16 numbers. */
union strip_a {
    uint16_t bf16[BF16_PIECE_M * DEPTH];
    float f32[BF16_PIECE_M * FLOAT_DEPTH];
};
union strip_b {
    uint16_t bf16[BF16_PIECE_N * DEPTH];
    float f32[BF16_PIECE_N * FLOAT_DEPTH];
};

static void pack_bf16(uint16_t *out, const float *x, size_t rows, size_t columns, size_t ld)
{
    for (size_t i = 0; i < rows; i++)
#pragma omp simd
        for (size_t j = 0; j < columns; j++)
            out[i * columns + j] = bf16_bits(x[i * ld + j]);
}

static void pack_floats(float *out, const float *x, size_t rows, size_t columns, size_t ld)
{
    for (size_t i = 0; i < rows; i++)
#pragma omp simd
        for (size_t j = 0; j < columns; j++)
            out[i * columns + j] = bf16_round(x[i * ld + j]);
}

/* What lies in memory of op(X)'s rows x columns. */
struct stored {
    size_t rows, columns;
};
static struct stored stored(enum transpose t, size_t rows, size_t columns)
{
    return t == N_ ? (struct stored){rows, columns} : (struct stored){columns, rows};
}

/* c (M,N) without gaps: the sum over a strip of depth K, added to what c holds unless it is the first. */
static void strip(enum transpose ta, enum transpose tb, size_t M, size_t N, size_t K, const float *A, size_t lda, const float *B,
                  size_t ldb, float *c, bool first, bool native)
{
    union strip_a a;
    union strip_b b;
    const struct stored sa = stored(ta, M, K), sb = stored(tb, K, N);
    if (native) {
        pack_bf16(a.bf16, A, sa.rows, sa.columns, lda);
        pack_bf16(b.bf16, B, sb.rows, sb.columns, ldb);
        if (onednn_product(true, ta == T_, tb == T_, M, N, K, a.bf16, b.bf16, c, !first) == 0)
            return;
        /* Out of memory inside the library: the other way needs none. It holds half the depth at a time. */
        for (size_t k = 0; k < K; k += FLOAT_DEPTH)
            strip(ta, tb, M, N, K - k < FLOAT_DEPTH ? K - k : FLOAT_DEPTH, A + (ta == N_ ? k : k * lda), lda,
                  B + (tb == N_ ? k * ldb : k), ldb, c, first && k == 0, false);
        return;
    }
    pack_floats(a.f32, A, sa.rows, sa.columns, lda);
    pack_floats(b.f32, B, sb.rows, sb.columns, ldb);
    gemm_tile(ta, tb, M, N, K, 1, a.f32, sa.columns, b.f32, sb.columns, first ? 0 : 1, c, N);
}

void gemm_bf16_piece(enum gemm_backend library, enum transpose ta, enum transpose tb, size_t M, size_t N, size_t K, float alpha,
                     const float *A, size_t lda, const float *B, size_t ldb, float beta, float *C, size_t ldc)
{
    ASSERT(M <= BF16_PIECE_M && N <= BF16_PIECE_N);
    const bool native = library == GEMM_ONEDNN && gemm_bf16_native();
    const size_t depth = native ? DEPTH : FLOAT_DEPTH;
    float c[BF16_PIECE_M * BF16_PIECE_N];
    if (K == 0)
        memset(c, 0, M * N * sizeof *c);
    for (size_t k = 0; k < K; k += depth)
        strip(ta, tb, M, N, K - k < depth ? K - k : depth, A + (ta == N_ ? k : k * lda), lda, B + (tb == N_ ? k * ldb : k), ldb,
              c, k == 0, native);
    for (size_t i = 0; i < M; i++)
#pragma omp simd
        for (size_t j = 0; j < N; j++)
            C[i * ldc + j] = alpha * c[i * N + j] + (beta == 0 ? 0 : beta * C[i * ldc + j]);
}
