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
 * Causality is a loop bound. Queries are taken in strips, keys in blocks; a block beyond a strip is never visited, and in one that
 * the diagonal crosses the products leave out the triangle above it (tile.h): no score beyond the diagonal is used, so there is
 * nothing to mask. A strip of the forward, and a head of the backward, belong to one thread.
 *
 * So is the limit of a document. Its queries have no keys but its own, so in a row of several documents each is a sequence of its
 * own, with its own strips and blocks: scores between documents are never computed, nor paid for.
 *
 * lse is kept to a rounding u of itself, so a query's weights come back with a common factor 1 + e, |e| <= u |lse_i|. That is the
 * size of what rounding the scores themselves has cost (u |s_ij|), and 2e-6 for the |lse| < 30 of a model that trains.
 *
 * In more steps: docs/derivations.md#attention
 */
#include "attention.h"
#include "tile.h"
#include <stdbool.h>

/* STRIP queries meet KEYS keys at a time: their scores stay in the second-level cache, a block of keys and of values, packed, in the
 * first. Rows of a head are packed in pieces of at most PIECE elements. STRIP is a multiple of KEYS. */
enum { STRIP = 192, KEYS = 64, PIECE = 512 / sizeof(real) };

/* One head of one document of T tokens: rows of q, k, v (and their gradients) lie 3C apart, rows of y and dy C apart. */
struct head {
    const real *q, *k, *v, *dy;
    real *y, *lse, *dq, *dk, *dv;
    size_t T, C, d;
    real scale;
    const struct dropout *drop;
    uint32_t site;
    uint64_t first_row;                  /* of the dropout mask */
    real m[STRIP], sum[STRIP], D[STRIP]; /* of the strip of queries in hand: maximum and sum so far; dy . y */
};

/* Queries [i0, i0 + ni) of a strip against keys [j0, j0 + nj), j0 <= i0: the first of them sees first + 1 of the keys, each further
 * query one more, up to all. */
struct block {
    size_t i0, ni, j0, nj, first;
};

static size_t keys(const struct block *b, size_t r)
{
    return b->first + r + 1 < b->nj ? b->first + r + 1 : b->nj;
}

/* Calls visit for every block at or below the diagonal that the strip of queries from i0 on meets: keys from the first on. */
static void for_each_block(struct head *h, size_t i0, void (*visit)(struct head *, const struct block *))
{
    const size_t end = h->T - i0 < STRIP ? h->T : i0 + STRIP;
    for (size_t j0 = 0; j0 < end; j0 += KEYS) {
        const size_t i = i0 > j0 ? i0 : j0;
        visit(h, &(struct block){i, end - i, j0, end - j0 < KEYS ? end - j0 : KEYS, i - j0});
    }
}

/* s (ni, KEYS) = A B^T, for A (ni,d) and B (nj,d): query r's keys only. */
static void scores(real *s, const struct head *h, const struct block *b, const real *A, size_t lda, const real *B, size_t ldb)
{
    real packed[PIECE * KEYS];
    for (size_t c = 0; c < h->d; c += PIECE) {
        const size_t n = h->d - c < PIECE ? h->d - c : PIECE;
        tile_pack_transposed(packed, B + c, ldb, b->nj, n);
        tile_product(&(struct tile){b->ni, b->nj, n, A + c, lda, 1, packed, s, KEYS, c > 0, true, TILE_LOWER_C, b->first});
    }
}

/* Y (ni,d), rows ldy apart, += s B for B (nj,d), or = where add is false. */
static void sum_over_keys(real *Y, size_t ldy, bool add, const struct head *h, const struct block *b, const real *s,
                          const real *B, size_t ldb)
{
    real packed[KEYS * PIECE];
    for (size_t c = 0; c < h->d; c += PIECE) {
        const size_t n = h->d - c < PIECE ? h->d - c : PIECE;
        tile_pack(packed, B + c, ldb, b->nj, n);
        tile_product(&(struct tile){b->ni, n, b->nj, s, KEYS, 1, packed, Y + c, ldy, add, false, TILE_LOWER_A, b->first});
    }
}

/* Y (nj,d), rows ldy apart, += s^T A for A (ni,d). */
static void sum_over_queries(real *Y, size_t ldy, const struct head *h, const struct block *b, const real *s, const real *A,
                             size_t lda)
{
    real packed[STRIP * PIECE];
    for (size_t c = 0; c < h->d; c += PIECE) {
        const size_t n = h->d - c < PIECE ? h->d - c : PIECE;
        tile_pack(packed, A + c, lda, b->ni, n);
        tile_product(&(struct tile){b->nj, n, b->ni, s, 1, KEYS, packed, Y + c, ldy, true, false, TILE_UPPER_A, b->first});
    }
}

/* Multiplies the weights of query i for the n keys from j0 on by the dropout mask. */
static void drop(real *p, const struct head *h, size_t i, size_t j0, size_t n)
{
    real mask[KEYS];
    dropout_mask(mask, h->drop, h->site, h->first_row + i, j0, n);
    for (size_t j = 0; j < n; j++)
        p[j] *= mask[j];
}

/* Turns n more products q . k of a row into exp(scale q . k - m), m the largest exponent so far, and brings what the row has summed
 * up, sum and y (d), to the new m. Loops run over whole vectors: what lies beyond n repeats a score first, then is zero. */
static void online_softmax(real *s, size_t n, __typeof__(real_part((real)0)) scale, real *m, real *sum, real *y, size_t d,
                           bool first)
{
    const size_t width = tile_width(n);
    for (size_t j = n; j < width; j++)
        s[j] = s[0];
    __typeof__(real_part(s[0])) largest = real_part(s[0]);
#pragma omp simd reduction(max : largest)
    for (size_t j = 0; j < width; j++)
        largest = real_part(s[j]) > largest ? real_part(s[j]) : largest;
    const real old = *m, top = first || scale * largest > real_part(old) ? scale * largest : old;
#pragma omp simd
    for (size_t j = 0; j < width; j++)
        s[j] = real_exp(scale * s[j] - top);
    for (size_t j = n; j < width; j++)
        s[j] = 0;
    real row = 0;
#pragma omp simd reduction(+ : row)
    for (size_t j = 0; j < width; j++)
        row += s[j];
    if (!first && top != old) {
        const real shrink = real_exp(old - top);
        *sum *= shrink;
        for (size_t c = 0; c < d; c++)
            y[c] *= shrink;
    }
    *m = top;
    *sum = first ? row : *sum + row;
}

static void forward_block(struct head *h, const struct block *b)
{
    real s[STRIP * KEYS];
    const size_t ld = 3 * h->C;
    const bool first = b->j0 == 0;
    scores(s, h, b, h->q + b->i0 * ld, ld, h->k + b->j0 * ld, ld);
    for (size_t r = 0; r < b->ni; r++) {
        const size_t i = b->i0 + r, slot = i % STRIP;
        online_softmax(s + r * KEYS, keys(b, r), h->scale, &h->m[slot], &h->sum[slot], h->y + i * h->C, h->d, first);
        if (dropout_active(h->drop))
            drop(s + r * KEYS, h, i, b->j0, keys(b, r));
    }
    sum_over_keys(h->y + b->i0 * h->C, h->C, !first, h, b, s, h->v + b->j0 * ld, ld);
}

static void forward_strip(struct head *h, size_t i0)
{
    for_each_block(h, i0, forward_block);
    for (size_t i = i0; i < h->T && i < i0 + STRIP; i++) {
        const real total = h->sum[i - i0];
        h->lse[i] = h->m[i - i0] + real_log(total);
        for (size_t c = 0; c < h->d; c++)
            h->y[i * h->C + c] /= total;
    }
}

static void backward_block(struct head *h, const struct block *b)
{
    real p[STRIP * KEYS], ds[STRIP * KEYS];
    const size_t ld = 3 * h->C;
    const real *q = h->q + b->i0 * ld, *k = h->k + b->j0 * ld, *v = h->v + b->j0 * ld, *dy = h->dy + b->i0 * h->C;
    scores(p, h, b, q, ld, k, ld);
    scores(ds, h, b, dy, h->C, v, ld); /* dy_i . v_j */
    for (size_t r = 0; r < b->ni; r++) {
        const size_t i = b->i0 + r, n = keys(b, r), width = tile_width(n);
        const real lse = h->lse[i], D = h->D[i % STRIP], scale = h->scale;
        real *pr = p + r * KEYS, *dsr = ds + r * KEYS;
        if (dropout_active(h->drop))
            drop(dsr, h, i, b->j0, n);
#pragma omp simd
        for (size_t j = 0; j < width; j++) {
            pr[j] = real_exp(scale * pr[j] - lse);
            dsr[j] = scale * pr[j] * (dsr[j] - D);
        }
        if (dropout_active(h->drop))
            drop(pr, h, i, b->j0, n);
    }
    sum_over_queries(h->dv + b->j0 * ld, ld, h, b, p, dy, h->C);
    sum_over_keys(h->dq + b->i0 * ld, ld, true, h, b, ds, k, ld);
    sum_over_queries(h->dk + b->j0 * ld, ld, h, b, ds, q, ld);
}

static void backward_strip(struct head *h, size_t i0)
{
    for (size_t i = i0; i < h->T && i < i0 + STRIP; i++) {
        acc sum = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t c = 0; c < h->d; c++)
            sum += h->dy[i * h->C + c] * h->y[i * h->C + c];
        h->D[i - i0] = (real)sum;
    }
    for_each_block(h, i0, backward_block);
}

/* The documents of a row: the whole of it where start is NULL. */
struct row {
    const uint32_t *start;
    size_t T;
};

static struct row row(const uint32_t *start, size_t b, size_t T)
{
    return (struct row){start ? start + b * T : NULL, T};
}

/* Whether a strip begins at query i. Each is known by the query it begins at. */
static bool begins_strip(const struct row *r, size_t i)
{
    return (i - (r->start ? r->start[i] : 0)) % STRIP == 0;
}

/* Tokens of the document that begins at position `first`. */
static size_t document_length(const struct row *r, size_t first)
{
    size_t end = r->start ? first + 1 : r->T;
    while (end < r->T && r->start[end] == first)
        end++;
    return end - first;
}

/* Head bh of B H, in the document that query i belongs to. */
static struct head head(const real *qkv, const real *y, const real *lse, size_t bh, const struct row *r, size_t i, size_t C,
                        size_t H, const struct dropout *d, uint32_t site)
{
    const size_t size = C / H, first = bh % H * size, first_sequence = dropout_active(d) ? d->first_row : 0, T = r->T;
    const size_t begin = r->start ? r->start[i] : 0, n = bh / H * T + begin;
    ASSERT(begin <= i && (!r->start || r->start[begin] == begin));
    const real *q = qkv + n * 3 * C + first;
    return (struct head){.q = q,
                         .k = q + C,
                         .v = q + 2 * C,
                         .y = (real *)y + n * C + first,
                         .lse = (real *)lse + bh * T + begin,
                         .T = document_length(r, begin),
                         .C = C,
                         .d = size,
                         .scale = (real)(1 / sqrt((double)size)),
                         .drop = d,
                         .site = site,
                         .first_row = (first_sequence * H + bh) * T + begin};
}

void attention_forward(real *y, real *lse, const real *qkv, const uint32_t *start, size_t B, size_t T, size_t C, size_t H,
                       const struct dropout *d, uint32_t site)
{
    ASSERT(C % H == 0 && T > 0);
    const size_t strips = (T + STRIP - 1) / STRIP;
#pragma omp parallel for schedule(dynamic)
    for (size_t n = 0; n < B * H * strips; n++) { /* the strips that begin in that many queries: one, or one or more a document */
        const size_t bh = n / strips, first = n % strips * STRIP;
        const struct row r = row(start, bh / H, T);
        for (size_t i = first; i < T && i < first + STRIP; i++)
            if (begins_strip(&r, i)) {
                struct head h = head(qkv, y, lse, bh, &r, i, C, H, d, site);
                forward_strip(&h, i - (start ? r.start[i] : 0));
            }
    }
}

void attention_backward(real *dqkv, const real *dy, const real *qkv, const real *y, const real *lse, const uint32_t *start,
                        size_t B, size_t T, size_t C, size_t H, const struct dropout *d, uint32_t site)
{
#pragma omp parallel for schedule(dynamic)
    for (size_t bh = 0; bh < B * H; bh++) {
        const struct row r = row(start, bh / H, T);
        for (size_t first = 0, next; first < T; first = next) {
            struct head h = head(qkv, y, lse, bh, &r, first, C, H, d, site);
            h.dy = dy + (h.y - y);
            h.dq = dqkv + (h.q - qkv);
            h.dk = h.dq + C;
            h.dv = h.dk + C;
            for (size_t i0 = 0; i0 < h.T; i0 += STRIP)
                backward_strip(&h, i0);
            next = first + h.T;
        }
    }
}
