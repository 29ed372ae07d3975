/* gemm_bf16.c: products with operands rounded to bf16 (mixed precision: Kalamkar et al. 2019,
 * arXiv:1905.12322).
 *
 * The product of two bf16 numbers is exact in float, so the only loss is the rounding of the
 * operands, at most 2^-8 of each. Sums are floats.
 *
 * Whole matrices are not copied. All threads together round a block of A and one of B into a
 * workspace of fixed size, which a last-level cache holds. Transposed operands stay transposed. The
 * blocks are then multiplied, divided into pieces by the sizes alone:
 *
 *     for each slice of K
 *         for each block of N:  b = r(block of B)
 *             for each block of M:  a = r(block of A),  block of C += a b
 *
 * So an element of B is rounded once, and one of A once for each BLOCK columns of C. With bf16
 * instructions, the workspace holds bf16 numbers, without gaps within the part that belongs to a
 * piece, and each piece of C is computed in a dense buffer and then added to C: oneDNN uses its
 * kernels for matrix units (AMX) only for dense operands. Otherwise the rounded numbers are stored
 * as floats and multiplied by the float gemm.
 */
#include "model/gemm/gemm_bf16.h"
#include "base/minmax.h"
#include "model/gemm/bf16.h"
#include "model/gemm/gemm_onednn.h"
#include "model/gemm/gemm_parallel.h"
#include "model/gemm/partition.h"
#include "model/gemm/workspace.h"
#include <omp.h>
#include <string.h>

enum {
    BLOCK = 4096, /* rows of A and columns of B rounded at a time */
    DEPTH = 1024, /* terms of the sum */
    PAD = 64,     /* after rows of floats: whole cache lines, and no two rows in the same set */
    OPERAND = BLOCK * (DEPTH + PAD), /* the larger of both orders, since BLOCK > DEPTH */
    PIECE_M = 256,
    PIECE_N = 768
};

struct thread_workspace {
    float piece[PIECE_M * PIECE_N];
    _Alignas(64) char scratchpad[ONEDNN_SCRATCHPAD];
};

struct bf16_workspace {
    union rounded {
        float f32[OPERAND];
        uint16_t bf16[OPERAND];
    } a, b;
    _Alignas(64) struct thread_workspace threads[];
};

static size_t workspace_bytes(void)
{
    return sizeof(struct bf16_workspace) + omp_get_max_threads() * sizeof(struct thread_workspace);
}

size_t gemm_bf16_bytes(size_t M, size_t N, size_t K)
{
    return sizeof(struct workspace) + workspace_bytes() +
           gemm_parallel_bytes(M + PAD, N, size_min(K, DEPTH));
}

/* A or B. `along_rows`: its rows in memory run along rows or columns of C, not along the sum. */
struct operand {
    const float *x;
    size_t ld;
    bool along_rows;
    size_t piece; /* rows or columns of C in a piece */
};

static void round_row(union rounded *out, size_t first, const float *x, size_t n, bool native)
{
    if (native) {
#pragma omp simd
        for (size_t i = 0; i < n; i++)
            out->bf16[first + i] = bf16_bits(x[i]);
    } else {
#pragma omp simd
        for (size_t i = 0; i < n; i++)
            out->f32[first + i] = bf16_round(x[i]);
    }
}

/* Rounds a block: rows or columns [i, i + n) of C, terms [k, k + depth) of the sum. Native: as
 * bf16, in panels of o->piece columns if along_rows, so that the part for row or column i of C
 * begins at i * depth. Otherwise as one panel of floats with padded rows. Returns the distance
 * between rows of floats. */
static size_t round_block(union rounded *out, const struct operand *o, size_t i, size_t n, size_t k,
                          size_t depth, bool native)
{
    const float *x = o->x + (o->along_rows ? k * o->ld + i : i * o->ld + k);
    const size_t rows = o->along_rows ? depth : n, columns = o->along_rows ? n : depth,
                 pad = native ? 0 : (columns + PAD) / PAD * PAD - columns,
                 panel = native && o->along_rows ? o->piece : columns;
#pragma omp parallel for
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c += panel) {
            const size_t width = size_min(panel, columns - c);
            round_row(out, c * rows + r * (width + pad), x + r * o->ld + c, width, native);
        }
    return columns + pad;
}

/* The definition, if oneDNN fails because memory is short. */
static void multiply_plain(const struct onednn_matmul *p, const uint16_t *a, const uint16_t *b,
                           float *C)
{
    for (size_t i = 0; i < p->M; i++)
        for (size_t j = 0; j < p->N; j++) {
            float sum = 0;
            for (size_t k = 0; k < p->K; k++)
                sum += bf16_value(a[p->transpose_a ? k * p->M + i : i * p->K + k]) *
                       bf16_value(b[p->transpose_b ? j * p->K + k : k * p->N + j]);
            C[i * p->N + j] = sum;
        }
}

/* C = or += a piece of it. */
static void store_piece(float *C, size_t ldc, const float *piece, size_t m, size_t n, bool add)
{
    for (size_t i = 0; i < m; i++) {
        float *c = C + i * ldc;
        const float *x = piece + i * n;
        if (add)
#pragma omp simd
            for (size_t j = 0; j < n; j++)
                c[j] += x[j];
        else
            memcpy(c, x, n * sizeof *c);
    }
}

/* Multiplies two blocks of bf16 numbers, piece by piece. beta is 0 or 1. */
static void multiply_native(struct bf16_workspace *w, const struct product *block,
                            const struct piece *piece)
{
    const size_t rows = ceil_div(block->M, piece->m), columns = ceil_div(block->N, piece->n);
#pragma omp parallel for schedule(dynamic)
    for (size_t u = 0; u < rows * columns; u++) {
        const size_t i = u % rows * piece->m, j = u / rows * piece->n;
        struct thread_workspace *t = &w->threads[omp_get_thread_num()];
        const size_t m = size_min(block->M - i, piece->m), n = size_min(block->N - j, piece->n);
        const struct onednn_matmul p = {true, block->ta == T_, block->tb == T_, m, n, block->K};
        const uint16_t *a = w->a.bf16 + i * p.K, *b = w->b.bf16 + j * p.K;
        if (onednn_matmul(&p, a, b, t->piece, t->scratchpad, ONEDNN_SCRATCHPAD))
            multiply_plain(&p, a, b, t->piece);
        store_piece(block->C + i * block->ldc + j, block->ldc, t->piece, m, n, block->beta == 1);
    }
}

static void multiply_by_blocks(enum gemm_backend backend, const struct product *p,
                               struct bf16_workspace *w)
{
    const bool native =
        backend == GEMM_ONEDNN_BF16 && p->alpha == 1 && (p->beta == 0 || p->beta == 1);
    const struct piece piece =
        partition_c(size_min(p->M, BLOCK), size_min(p->N, BLOCK), p->K, PIECE_M, PIECE_N);
    const struct operand a = {p->A, p->lda, p->ta == T_, piece.m},
                         b = {p->B, p->ldb, p->tb == N_, piece.n};
    struct product block = *p;
    block.A = w->a.f32, block.B = w->b.f32;
    for (size_t k = 0; k < p->K; k += DEPTH)
        for (size_t j = 0; j < p->N; j += BLOCK) {
            block.K = size_min(p->K - k, DEPTH);
            block.N = size_min(p->N - j, BLOCK);
            block.beta = k ? 1 : p->beta;
            block.ldb = round_block(&w->b, &b, j, block.N, k, block.K, native);
            for (size_t i = 0; i < p->M; i += BLOCK) {
                block.M = size_min(p->M - i, BLOCK);
                if (j == 0 || p->M > BLOCK) /* otherwise it is still in the workspace */
                    block.lda = round_block(&w->a, &a, i, block.M, k, block.K, native);
                block.C = p->C + i * p->ldc + j;
                if (native)
                    multiply_native(w, &block, &piece);
                else
                    gemm_parallel(backend, &block, 1);
            }
        }
}

int gemm_bf16(enum gemm_backend backend, const struct product *p)
{
    static _Atomic(struct workspace *) idle;
    if (p->M == 0 || p->N == 0 || p->K == 0) { /* nothing to round */
        gemm_parallel(backend, p, 1);
        return 0;
    }
    struct workspace *w = workspace_take(&idle, workspace_bytes());
    if (!w)
        return -1;
    multiply_by_blocks(backend, p, (struct bf16_workspace *)w->data);
    workspace_put_back(&idle, w);
    return 0;
}
