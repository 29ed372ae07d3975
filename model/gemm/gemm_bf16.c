/* gemm_bf16.c: products with operands rounded to bf16 (mixed precision: Kalamkar et al. 2019, arXiv:1905.12322).
 *
 * The product of two bf16 numbers is exact in float, so all that is lost is the operands' rounding, 2^-8 of each; sums are float's.
 *
 * No rounded copy of a whole matrix is kept. A block of A and one of B, as they lie (a transposed operand stays transposed), are rounded
 * by all threads into a room of fixed size that the next level of caches holds, and then multiplied, cut into pieces by the sizes alone:
 *
 *     for each slice of K, for each block of N:    b = r(B's block);  for each block of M:   a = r(A's block),  C's block += a b
 *
 * An element of B is rounded once, one of A once for BLOCK columns of C. On bf16 instructions what lies in the room is bf16, each piece's part
 * of it without gaps, and so is the piece of C, which then goes where it belongs: oneDNN takes its kernels for matrix units (AMX) for nothing
 * else. Otherwise the rounded numbers stay floats, and are multiplied as gemm multiplies floats.
 */
#include "model/gemm/gemm_bf16.h"
#include "model/gemm/bf16.h"
#include "model/gemm/gemm_cut.h"
#include "model/gemm/gemm_onednn.h"
#include <omp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 4096, /* rows of A and columns of B that are rounded at a time */
    DEPTH = 1024, /* of the sum */
    PAD =
        64, /* of rows of floats in the room: whole lines, and no two in the same set of a cache */
    OPERAND =
        (BLOCK + PAD) * DEPTH > BLOCK *(DEPTH + PAD) ? (BLOCK + PAD) * DEPTH : BLOCK *(DEPTH + PAD),
    PIECE_M = 256,
    PIECE_N = 768
};

/* What a thread works in. */
struct desk {
    float piece[PIECE_M * PIECE_N];
    _Alignas(64) char onednn[ONEDNN_ROOM];
};

struct room {
    size_t threads;
    union operand {
        float f32[OPERAND];
        uint16_t bf16[OPERAND];
    } a, b;
    _Alignas(64) struct desk desks[];
};

/* It is kept for the next call: fresh pages would cost as much as the rounding. A call that comes while another has it gets its own. */
static _Atomic(struct room *) spare;

static struct room *borrow_room(void)
{
    const size_t threads = (size_t)omp_get_max_threads();
    struct room *room = atomic_exchange(&spare, NULL);
    if (room && room->threads >= threads)
        return room;
    free(room);
    room = aligned_alloc(64, sizeof *room + threads * sizeof(struct desk));
    if (room)
        room->threads = threads;
    return room;
}

static void return_room(struct room *room)
{
    free(atomic_exchange(&spare, room));
}

size_t gemm_bf16_bytes(size_t M, size_t N, size_t K)
{
    return sizeof(struct room) + (size_t)omp_get_max_threads() * sizeof(struct desk) +
           gemm_bytes(M + PAD, N, K < DEPTH ? K : DEPTH);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* A block of an operand in the room, as it lies in memory: rows and columns, in panels of `width` columns, one behind the other. */
struct stored {
    size_t rows, columns, width, pad; /* pad: from the end of a row to the next */
};

/* Floats: one panel. */
static struct stored stored_floats(enum transpose t, size_t rows, size_t columns)
{
    const size_t r = t == N_ ? rows : columns, c = t == N_ ? columns : rows;
    return (struct stored){r, c, c, (c + PAD) / PAD * PAD - c};
}

/* bf16: what belongs to the piece from row or column i of C on begins at i * depth. `across`: n are columns in memory, and cut. */
static struct stored stored_bits(bool across, size_t n, size_t depth, size_t length)
{
    return across ? (struct stored){depth, n, length, 0} : (struct stored){n, depth, depth, 0};
}

static void round_row(union operand *out, size_t first, const float *x, size_t n, bool bits)
{
    if (bits) {
#pragma omp simd
        for (size_t i = 0; i < n; i++)
            out->bf16[first + i] = bf16_bits(x[i]);
    } else {
#pragma omp simd
        for (size_t i = 0; i < n; i++)
            out->f32[first + i] = bf16_round(x[i]);
    }
}

static void round_block(union operand *out, const struct stored *s, const float *x, size_t ld,
                        bool bits)
{
#pragma omp parallel for
    for (size_t r = 0; r < s->rows; r++)
        for (size_t c = 0; c < s->columns; c += s->width) {
            const size_t n = least(s->width, s->columns - c);
            round_row(out, c * s->rows + r * (n + s->pad), x + r * ld + c, n, bits);
        }
}

/* For what oneDNN cannot do, being short of memory: the definition. */
static void multiply_plainly(const struct onednn_product *p, const uint16_t *a, const uint16_t *b,
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
static void put_piece(float *C, size_t ldc, const float *piece, size_t m, size_t n, bool add)
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

/* One block of C, a piece to a thread. */
static void multiply_bits(struct room *room, const struct onednn_product *whole,
                          const struct cuts *s, bool add, float *C, size_t ldc)
{
    const size_t rows = ceil_div(whole->M, s->m), columns = ceil_div(whole->N, s->n);
#pragma omp parallel for schedule(dynamic)
    for (size_t piece = 0; piece < rows * columns; piece++) {
        const size_t i = piece % rows * s->m, j = piece / rows * s->n;
        struct desk *desk = &room->desks[omp_get_thread_num()];
        struct onednn_product p = *whole;
        p.M = least(whole->M - i, s->m);
        p.N = least(whole->N - j, s->n);
        const uint16_t *a = room->a.bf16 + i * p.K, *b = room->b.bf16 + j * p.K;
        if (onednn_product(&p, a, b, desk->piece, desk->onednn, ONEDNN_ROOM))
            multiply_plainly(&p, a, b, desk->piece);
        put_piece(C + i * ldc + j, ldc, desk->piece, p.M, p.N, add);
    }
}

int gemm_bf16_on(enum gemm_backend library, enum transpose ta, enum transpose tb, size_t M,
                 size_t N, size_t K, double alpha, const float *A, size_t lda, const float *B,
                 size_t ldb, double beta, float *C, size_t ldc)
{
    const bool bits = library == GEMM_ONEDNN_BF16 && alpha == 1 && (beta == 0 || beta == 1);
    if (K == 0) {
        gemm_on(library, ta, tb, M, N, 0, alpha, A, lda, B, ldb, beta, C, ldc);
        return 0;
    }
    struct room *room = borrow_room();
    if (!room)
        return -1;
    const struct cuts cuts =
        cut_product(least(M, BLOCK), least(N, BLOCK), K, PIECE_M, PIECE_N); /* of all blocks */
    for (size_t k = 0; k < K; k += DEPTH)
        for (size_t j = 0; j < N; j += BLOCK) {
            const size_t depth = least(K - k, DEPTH), n = least(N - j, BLOCK);
            const struct stored sb =
                bits ? stored_bits(tb == N_, n, depth, cuts.n) : stored_floats(tb, depth, n);
            round_block(&room->b, &sb, B + (tb == N_ ? k * ldb + j : j * ldb + k), ldb, bits);
            for (size_t i = 0; i < M; i += BLOCK) {
                const size_t m = least(M - i, BLOCK);
                const struct stored sa =
                    bits ? stored_bits(ta == T_, m, depth, cuts.m) : stored_floats(ta, m, depth);
                if (j == 0 || M > BLOCK) /* otherwise it is there already */
                    round_block(&room->a, &sa, A + (ta == N_ ? i * lda + k : k * lda + i), lda,
                                bits);
                float *c = C + i * ldc + j;
                if (bits)
                    multiply_bits(room,
                                  &(struct onednn_product){true, ta == T_, tb == T_, m, n, depth},
                                  &cuts, k > 0 || beta == 1, c, ldc);
                else
                    gemm_on(library, ta, tb, m, n, depth, alpha, room->a.f32, sa.columns + sa.pad,
                            room->b.f32, sb.columns + sb.pad, k > 0 ? 1 : beta, c, ldc);
            }
        }
    return_room(room);
    return 0;
}
