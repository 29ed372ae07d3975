/* attention.c: causal multi-head attention (Vaswani et al. 2017, arXiv:1706.03762) by tiles, with an online softmax (Dao et al.
 * 2022, arXiv:2205.14135; Dao 2023, arXiv:2307.08691), so that no T x T matrix is ever stored.
 *
 * For a head with queries q_i, keys k_j, values v_j (rows of d = C/H elements) and a = 1/sqrt(d), over keys j <= i only:
 *
 *     s_ij = a q_i . k_j
 *     p_ij = exp(s_ij - lse_i),  lse_i = log sum_j exp(s_ij)          so sum_j p_ij = 1: over keys, per query
 *     y_i  = sum_j p_ij m_ij v_j                                      m the dropout mask, or 1
 *
 * Backward, for dy_i, with softmax's own backward in the middle:
 *
 *     dv_j += sum_i p_ij m_ij dy_i
 *     dp_ij = m_ij (dy_i . v_j)
 *     ds_ij = p_ij (dp_ij - D_i),  D_i = sum_j p_ij dp_ij = dy_i . y_i
 *     dq_i += a sum_j ds_ij k_j
 *     dk_j += a sum_i ds_ij q_i
 *
 * D_i needs no pass over the keys: sum_j p_ij m_ij (dy_i . v_j) is dy_i . sum_j p_ij m_ij v_j. Leaving D_i out is the softmax's
 * "dot term dropped".
 *
 * Causality is a loop bound. The plane of (query, key) below the diagonal is cut into rectangles, whose products go to gemm_tile,
 * and small triangles on the diagonal, done by loops that end at j = i: no score beyond the diagonal is ever computed, so there
 * is nothing to mask. One head of one sequence belongs to one thread in both passes.
 *
 * In more steps: docs/derivations.md#attention
 */
#include "attention.h"
#include "gemm.h"

enum { TILE = 64, TRIANGLE = 16 }; /* sides of rectangles (at most) and triangles; TILE is a multiple of TRIANGLE */

/* One head: rows of q, k, v (and their gradients) lie 3C apart, rows of y and dy C apart. */
struct head {
    const real *q, *k, *v, *dy;
    real *y, *lse, *dq, *dk, *dv;
    size_t T, C, d;
    real scale;
    const struct dropout *drop;
    uint32_t site;
    uint64_t first_row;               /* of the dropout mask */
    real m[TILE], sum[TILE], D[TILE]; /* of the strip of queries in hand: maximum and sum so far; dy . y */
};

/* Queries [i0, i0 + ni) against keys [j0, j0 + nj); in a triangle, query i0 + r against the first r + 1 keys. */
struct block {
    size_t i0, ni, j0, nj;
    int triangle;
};

static size_t keys(const struct block *b, size_t r)
{
    return b->triangle ? r + 1 : b->nj;
}

/* s (ni, TILE) = scale * A B^T */
static void product_nt(real *s, const struct block *b, real scale, const real *A, size_t lda, const real *B, size_t ldb, size_t d)
{
    if (!b->triangle) {
        gemm_tile(N_, T_, b->ni, b->nj, d, real_part(scale), A, lda, B, ldb, 0, s, TILE);
        return;
    }
    for (size_t r = 0; r < b->ni; r++)
        for (size_t j = 0; j <= r; j++) {
            real sum = 0;
#pragma omp simd reduction(+ : sum)
            for (size_t c = 0; c < d; c++)
                sum += A[r * lda + c] * B[j * ldb + c];
            s[r * TILE + j] = scale * sum;
        }
}

/* Y (ni, d) += s (ni, TILE) B */
static void product_nn(real *Y, size_t ldy, const struct block *b, const real *s, const real *B, size_t ldb, size_t d)
{
    if (!b->triangle) {
        gemm_tile(N_, N_, b->ni, d, b->nj, 1, s, TILE, B, ldb, 1, Y, ldy);
        return;
    }
    for (size_t r = 0; r < b->ni; r++)
        for (size_t j = 0; j <= r; j++)
            for (size_t c = 0; c < d; c++)
                Y[r * ldy + c] += s[r * TILE + j] * B[j * ldb + c];
}

/* Y (nj, d) += s^T A */
static void product_tn(real *Y, size_t ldy, const struct block *b, const real *s, const real *A, size_t lda, size_t d)
{
    if (!b->triangle) {
        gemm_tile(T_, N_, b->nj, d, b->ni, 1, s, TILE, A, lda, 1, Y, ldy);
        return;
    }
    for (size_t r = 0; r < b->ni; r++)
        for (size_t j = 0; j <= r; j++)
            for (size_t c = 0; c < d; c++)
                Y[j * ldy + c] += s[r * TILE + j] * A[r * lda + c];
}

/* Calls visit for every block at or below the diagonal: for each strip of queries, its keys from the first on; a query's triangle
 * comes last. */
static void for_each_block(struct head *h, void (*visit)(struct head *, const struct block *))
{
    for (size_t i0 = 0; i0 < h->T; i0 += TILE) {
        const size_t ni = h->T - i0 < TILE ? h->T - i0 : TILE;
        for (size_t j0 = 0; j0 < i0; j0 += TILE)
            visit(h, &(struct block){i0, ni, j0, TILE, 0});
        for (size_t r = 0; r < ni; r += TRIANGLE) {
            const size_t nr = ni - r < TRIANGLE ? ni - r : TRIANGLE;
            if (r)
                visit(h, &(struct block){i0 + r, nr, i0, r, 0});
            visit(h, &(struct block){i0 + r, nr, i0 + r, nr, 1});
        }
    }
}

/* Multiplies the weights of query i for the n keys from j0 on by the dropout mask. */
static void drop(real *p, const struct head *h, size_t i, size_t j0, size_t n)
{
    real mask[TILE];
    dropout_mask(mask, h->drop, h->site, h->first_row + i, j0, n);
    for (size_t j = 0; j < n; j++)
        p[j] *= mask[j];
}

/* Turns n more scores of a row into exp(s - m), m the maximum so far, and brings what the row has summed up, sum and y (d), to
 * the new m. */
static void online_softmax(real *s, size_t n, real *m, real *sum, real *y, size_t d, int first)
{
    real top = first ? real_part(s[0]) : *m;
    for (size_t j = 0; j < n; j++)
        top = real_part(s[j]) > real_part(top) ? real_part(s[j]) : top;
    real row = 0;
#pragma omp simd reduction(+ : row)
    for (size_t j = 0; j < n; j++) {
        s[j] = real_exp(s[j] - top);
        row += s[j];
    }
    const real shrink = first ? 0 : real_exp(*m - top);
    *m = top;
    *sum = first ? row : *sum * shrink + row;
    for (size_t c = 0; c < d; c++)
        y[c] = first ? 0 : y[c] * shrink;
}

static void forward_block(struct head *h, const struct block *b)
{
    real s[TILE * TILE];
    const size_t ld = 3 * h->C;
    product_nt(s, b, h->scale, h->q + b->i0 * ld, ld, h->k + b->j0 * ld, ld, h->d);
    for (size_t r = 0; r < b->ni; r++) {
        const size_t i = b->i0 + r, slot = i % TILE;
        online_softmax(s + r * TILE, keys(b, r), &h->m[slot], &h->sum[slot], h->y + i * h->C, h->d, b->j0 == 0);
        if (dropout_active(h->drop))
            drop(s + r * TILE, h, i, b->j0, keys(b, r));
    }
    product_nn(h->y + b->i0 * h->C, h->C, b, s, h->v + b->j0 * ld, ld, h->d);
    if (!b->triangle)
        return;
    for (size_t i = b->i0; i < b->i0 + b->ni; i++) { /* all keys have come */
        const real total = h->sum[i % TILE];
        h->lse[i] = h->m[i % TILE] + real_log(total);
        for (size_t c = 0; c < h->d; c++)
            h->y[i * h->C + c] /= total;
    }
}

/* D_i = dy_i . y_i for the queries of a block. */
static void output_dots(struct head *h, const struct block *b)
{
    for (size_t i = b->i0; i < b->i0 + b->ni; i++) {
        acc sum = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t c = 0; c < h->d; c++)
            sum += h->dy[i * h->C + c] * h->y[i * h->C + c];
        h->D[i % TILE] = (real)sum;
    }
}

static void backward_block(struct head *h, const struct block *b)
{
    if (b->j0 == 0)
        output_dots(h, b);
    real p[TILE * TILE], ds[TILE * TILE];
    const size_t ld = 3 * h->C;
    const real *q = h->q + b->i0 * ld, *k = h->k + b->j0 * ld, *v = h->v + b->j0 * ld, *dy = h->dy + b->i0 * h->C;
    product_nt(p, b, h->scale, q, ld, k, ld, h->d);
    product_nt(ds, b, 1, dy, h->C, v, ld, h->d); /* dy_i . v_j */
    for (size_t r = 0; r < b->ni; r++) {
        const size_t i = b->i0 + r, n = keys(b, r);
        const real lse = h->lse[i], D = h->D[i % TILE];
        real *pr = p + r * TILE, *dsr = ds + r * TILE;
#pragma omp simd
        for (size_t j = 0; j < n; j++)
            pr[j] = real_exp(pr[j] - lse);
        if (dropout_active(h->drop))
            drop(dsr, h, i, b->j0, n);
        for (size_t j = 0; j < n; j++)
            dsr[j] = h->scale * pr[j] * (dsr[j] - D);
        if (dropout_active(h->drop))
            drop(pr, h, i, b->j0, n);
    }
    product_tn(h->dv + b->j0 * ld, ld, b, p, dy, h->C, h->d);
    product_nn(h->dq + b->i0 * ld, ld, b, ds, k, ld, h->d);
    product_tn(h->dk + b->j0 * ld, ld, b, ds, q, ld, h->d);
}

void attention_forward(real *y, real *lse, const real *qkv, size_t B, size_t T, size_t C, size_t H, const struct dropout *d,
                       uint32_t site)
{
    ASSERT(C % H == 0 && T > 0);
    const size_t size = C / H, first = dropout_active(d) ? d->first_row : 0;
#pragma omp parallel for schedule(dynamic)
    for (size_t bh = 0; bh < B * H; bh++) {
        const size_t b = bh / H, h = bh % H;
        const real *q = qkv + b * T * 3 * C + h * size;
        struct head head = {.q = q,
                            .k = q + C,
                            .v = q + 2 * C,
                            .y = y + b * T * C + h * size,
                            .lse = lse + bh * T,
                            .T = T,
                            .C = C,
                            .d = size,
                            .scale = (real)(1 / sqrt((double)size)),
                            .drop = d,
                            .site = site,
                            .first_row = (first * H + bh) * T};
        for_each_block(&head, forward_block);
    }
}

void attention_backward(real *dqkv, const real *dy, const real *qkv, const real *y, const real *lse, size_t B, size_t T, size_t C,
                        size_t H, const struct dropout *d, uint32_t site)
{
    const size_t size = C / H, first = dropout_active(d) ? d->first_row : 0;
#pragma omp parallel for schedule(dynamic)
    for (size_t bh = 0; bh < B * H; bh++) {
        const size_t b = bh / H, h = bh % H;
        const real *q = qkv + b * T * 3 * C + h * size;
        real *dq = dqkv + b * T * 3 * C + h * size;
        struct head head = {.q = q,
                            .k = q + C,
                            .v = q + 2 * C,
                            .y = (real *)y + b * T * C + h * size,
                            .lse = (real *)lse + bh * T,
                            .dy = dy + b * T * C + h * size,
                            .dq = dq,
                            .dk = dq + C,
                            .dv = dq + 2 * C,
                            .T = T,
                            .C = C,
                            .d = size,
                            .scale = (real)(1 / sqrt((double)size)),
                            .drop = d,
                            .site = site,
                            .first_row = (first * H + bh) * T};
        for_each_block(&head, backward_block);
    }
}
