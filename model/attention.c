/* attention.c: causal multi-head attention (Vaswani et al. 2017, arXiv:1706.03762) in tiles, with
 * an online softmax (Dao et al. 2022, arXiv:2205.14135; Dao 2023, arXiv:2307.08691), so that no T x
 * T matrix is stored.
 *
 * For a head with queries q_i, keys k_j, values v_j (rows of d = C/H elements) and a = 1/sqrt(d),
 * over keys j <= i only:
 *
 *     s_ij = a q_i . k_j
 *     p_ij = exp(s_ij - lse_i),  lse_i = log sum_j exp(s_ij)          so sum_j p_ij = 1
 *     y_i  = sum_j p_ij m_ij v_j                                      m: dropout mask, or 1
 *
 * Backward, for dy_i, with the softmax's backward in the middle:
 *
 *     dv_j += sum_i p_ij m_ij dy_i
 *     dp_ij = m_ij (dy_i . v_j)
 *     ds_ij = p_ij (dp_ij - D_i),  D_i = sum_j p_ij dp_ij = dy_i . y_i
 *     dq_i += a sum_j ds_ij k_j
 *     dk_j += a sum_i ds_ij q_i
 *
 * D_i needs no pass over the keys: sum_j p_ij m_ij (dy_i . v_j) is dy_i . sum_j p_ij m_ij v_j. A
 * missing D_i is the planted mistake "dot term dropped" of the softmax.
 *
 * Causality is a loop bound. Queries are processed in strips, keys in blocks. A block beyond a
 * strip is not visited, and in a block that the diagonal crosses the products skip the triangle
 * beyond it (tile.c): no score beyond the diagonal is used, so there is nothing to mask. One thread
 * computes a strip of the forward, or a head of the backward.
 *
 * Document limits are loop bounds too. The queries of a document see only its keys, so each
 * document of a row is a separate sequence, with separate strips and blocks: scores between
 * documents are never computed.
 *
 * This file divides rows into documents and strips; attention_strip.c computes one strip.
 *
 * lse is saved with a relative rounding error u, so the weights of a query are recomputed with a
 * common factor 1 + e, |e| <= u |lse_i|: as large as the error from rounding the scores (u |s_ij|),
 * and 2e-6 for the |lse| < 30 of a model that trains.
 *
 * Step by step: docs/derivations.md#attention
 */
#include "model/attention.h"
#include "base/minmax.h"
#include "model/attention_strip.h"
#include "model/real.h"

/* The documents of a row; start NULL: one document. */
struct row {
    const uint32_t *start;
    size_t T;
};

static struct row row(const uint32_t *start, size_t b, size_t T)
{
    return (struct row){start ? start + b * T : NULL, T};
}

/* Whether a strip begins at query i. */
static bool begins_strip(const struct row *r, size_t i)
{
    return (i - (r->start ? r->start[i] : 0)) % ATTENTION_STRIP == 0;
}

/* Tokens of the document that begins at position `first`. */
static size_t document_length(const struct row *r, size_t first)
{
    size_t end = r->start ? first + 1 : r->T;
    while (end < r->T && r->start[end] == first)
        end++;
    return end - first;
}

/* Head bh of B H, in the document that contains query i. */
static struct attention_head head(const real *qkv, const real *y, const real *lse, size_t bh,
                                  const struct row *r, size_t i, size_t C, size_t H,
                                  const struct dropout *d, uint32_t site)
{
    const size_t size = C / H, first = bh % H * size,
                 first_sequence = dropout_active(d) ? d->first_row : 0, T = r->T;
    const size_t begin = r->start ? r->start[i] : 0, n = bh / H * T + begin;
    ASSERT(begin <= i && (!r->start || r->start[begin] == begin));
    const real *q = qkv + n * 3 * C + first;
    return (struct attention_head){.q = q,
                                   .k = q + C,
                                   .v = q + 2 * C,
                                   .y = (real *)y + n * C + first,
                                   .lse = (real *)lse + bh * T + begin,
                                   .T = document_length(r, begin),
                                   .C = C,
                                   .ld = 3 * C,
                                   .d = size,
                                   .scale = (real)(1 / sqrt((double)size)),
                                   .drop = d,
                                   .site = site,
                                   .first_row = (first_sequence * H + bh) * T + begin};
}

void attention_forward(real *y, real *lse, const real *qkv, const uint32_t *start, size_t B,
                       size_t T, size_t C, size_t H, const struct dropout *d, uint32_t site)
{
    ASSERT(C % H == 0 && T > 0);
    const size_t strips = ceil_div(T, ATTENTION_STRIP);
#pragma omp parallel for schedule(dynamic)
    for (size_t n = 0; n < B * H * strips; n++) {
        /* all strips that begin among ATTENTION_STRIP queries: one, or at least one per document */
        const size_t bh = n / strips, first = n % strips * ATTENTION_STRIP;
        const struct row r = row(start, bh / H, T);
        for (size_t i = first; i < T && i < first + ATTENTION_STRIP; i++)
            if (begins_strip(&r, i)) {
                struct attention_head h = head(qkv, y, lse, bh, &r, i, C, H, d, site);
                attention_strip(&h, i - (start ? r.start[i] : 0));
            }
    }
}

static void backward(bool set, real *dqkv, const real *dy, const real *qkv, const real *y,
                     const real *lse, const uint32_t *start, size_t B, size_t T, size_t C, size_t H,
                     const struct dropout *d, uint32_t site)
{
#pragma omp parallel for schedule(dynamic)
    for (size_t bh = 0; bh < B * H; bh++) {
        const struct row r = row(start, bh / H, T);
        for (size_t first = 0, next; first < T; first = next) {
            struct attention_head h = head(qkv, y, lse, bh, &r, first, C, H, d, site);
            h.dy = dy + (h.y - y);
            h.dq = dqkv + (h.q - qkv);
            h.dk = h.dq + C;
            h.dv = h.dk + C;
            h.set = set;
            for (size_t i0 = 0; i0 < h.T; i0 += ATTENTION_STRIP)
                attention_strip(&h, i0);
            next = first + h.T;
        }
    }
}

void attention_backward(real *dqkv, const real *dy, const real *qkv, const real *y, const real *lse,
                        const uint32_t *start, size_t B, size_t T, size_t C, size_t H,
                        const struct dropout *d, uint32_t site)
{
    backward(false, dqkv, dy, qkv, y, lse, start, B, T, C, H, d, site);
}

void attention_backward_set(real *dqkv, const real *dy, const real *qkv, const real *y,
                            const real *lse, const uint32_t *start, size_t B, size_t T, size_t C,
                            size_t H, const struct dropout *d, uint32_t site)
{
    backward(true, dqkv, dy, qkv, y, lse, start, B, T, C, H, d, site);
}
