/* mistakes_attention.c: plain attention, with the whole matrix of weights in memory, and its mistakes: see mistakes.h. */
#include "model/check/mistakes_plain.h"
#include "model/dropout.h"
#include "model/real.h"
#include <stdlib.h>

#define MADE(fault) (faults & (fault))

enum { FORWARD_FAULTS = ATTENTION_BOTH - ATTENTION_LEAK };

/* One head: element e of its query i is q[i * ld + e * step], and so on; p and m (T,T) are weights and dropout mask. */
struct head {
    const real *q, *k, *v, *dy;
    real *y, *lse, *dq, *dk, *dv;
    real *p, *m, *dp;
    const uint32_t *start; /* (T), or NULL */
    size_t T, d, ld, ldy, step;
    double scale;
};

/* Where the document of query i begins. */
static size_t begin(const struct head *h, size_t i, unsigned faults)
{
    const size_t first = h->start && !MADE(ATTENTION_DOCUMENTS_IGNORED) ? h->start[i] : 0;
    return MADE(ATTENTION_DOCUMENT_EARLY) && first > 0 ? first - 1 : first;
}

static bool seen(const struct head *h, size_t i, size_t j, unsigned faults)
{
    return j >= begin(h, i, faults) && j <= i + (MADE(ATTENTION_LEAK) ? 1 : 0);
}

/* p = softmax of the scores, over the keys of each query (or the queries of each key); and lse. */
static void weights(struct head *h, unsigned faults)
{
    const size_t T = h->T;
    for (size_t i = 0; i < T; i++)
        for (size_t j = 0; j < T; j++) {
            acc s = 0;
            for (size_t e = 0; e < h->d; e++)
                s += (acc)h->q[i * h->ld + e * h->step] * h->k[j * h->ld + e * h->step];
            const bool there = seen(h, i, j, faults) || MADE(ATTENTION_MASK_LATE);
            h->p[i * T + j] = there ? real_exp((real)(h->scale * s)) : 0;
        }
    for (size_t a = 0; a < T; a++) {
        acc sum = 0;
        for (size_t b = 0; b < T; b++)
            sum += MADE(ATTENTION_OVER_QUERIES) ? h->p[b * T + a] : h->p[a * T + b];
        for (size_t b = 0; b < T; b++) {
            real *p = MADE(ATTENTION_OVER_QUERIES) ? &h->p[b * T + a] : &h->p[a * T + b];
            *p = seen(h, a, b, faults) || MADE(ATTENTION_OVER_QUERIES) ? *p / (real)sum : 0;
        }
        if (h->lse)
            h->lse[a] = real_log((real)sum);
    }
}

static void head_forward(struct head *h, unsigned faults)
{
    weights(h, faults);
    for (size_t i = 0; i < h->T; i++)
        for (size_t e = 0; e < h->d; e++) {
            acc sum = 0;
            for (size_t j = 0; j < h->T; j++)
                sum += (acc)h->p[i * h->T + j] * h->m[i * h->T + j] * h->v[j * h->ld + e * h->step];
            h->y[i * h->ldy + e * h->step] = (real)sum;
        }
}

/* dp_ij = m_ij dy_i . v_j. */
static void weight_gradients(struct head *h, unsigned faults)
{
    for (size_t i = 0; i < h->T; i++)
        for (size_t j = 0; j < h->T; j++) {
            acc sum = 0;
            for (size_t e = 0; e < h->d; e++)
                sum += (acc)h->dy[i * h->ldy + e * h->step] * h->v[j * h->ld + e * h->step];
            h->dp[i * h->T + j] =
                (real)sum * (MADE(ATTENTION_DP_UNDROPPED) ? 1 : h->m[i * h->T + j]);
        }
}

/* What softmax subtracts from dp_ij: the dot product of weights and their gradients along its row (or column). */
static real dot(const struct head *h, size_t i, size_t j, unsigned faults)
{
    acc sum = 0;
    for (size_t b = 0; b < h->T; b++) {
        const size_t at = MADE(ATTENTION_OVER_QUERIES) ? b * h->T + j : i * h->T + b;
        sum += (acc)h->p[at] * h->dp[at];
    }
    return (real)sum;
}

static void head_backward(struct head *h, unsigned faults)
{
    const size_t T = h->T;
    weights(h, faults);
    weight_gradients(h, faults);
    const real a = (real)(MADE(ATTENTION_SCALE_DROPPED) ? 1
                          : MADE(ATTENTION_SCALE_TWICE) ? h->scale * h->scale
                                                        : h->scale);
    real D = 0;
    for (size_t i = 0; i < T; i++)
        for (size_t j = 0; j < T; j++) {
            const size_t at = i * T + j;
            if (j == 0 || MADE(ATTENTION_OVER_QUERIES))
                D = MADE(ATTENTION_DOT_DROPPED) ? 0 : dot(h, i, j, faults);
            if (!seen(h, i, j, faults) || (MADE(ATTENTION_DIAGONAL_LOST) && i == j))
                continue;
            if (MADE(ATTENTION_DOCUMENT_LATE) && h->start && h->start[i] > 0 && j == h->start[i])
                continue;
            const real ds = a * h->p[at] * (h->dp[at] - D);
            for (size_t e = 0; e < h->d; e++) {
                const size_t ei = i * h->ld + e * h->step, ej = j * h->ld + e * h->step;
                h->dv[ej] += h->p[at] * (MADE(ATTENTION_DV_UNDROPPED) ? 1 : h->m[at]) *
                             h->dy[i * h->ldy + e * h->step];
                h->dq[ei] += ds * (MADE(ATTENTION_DQ_DK_SWAPPED) ? h->q[ei] : h->k[ej]);
                h->dk[ej] += ds * (MADE(ATTENTION_DQ_DK_SWAPPED) ? h->k[ej] : h->q[ei]);
            }
        }
}

/* Calls work for every head. Arrays that a pass does not have are NULL. */
static void for_each_head(const struct op_case *c, unsigned faults, real *y, real *lse,
                          const real *qkv, const real *dy, real *dqkv,
                          void (*work)(struct head *, unsigned))
{
    const size_t T = c->T, C = c->C, d = C / c->H;
    const struct dropout drop = {c->p, OP_DROPOUT_SEED, OP_DROPOUT_STEP, c->first_row};
    real *room = malloc(3 * T * T * sizeof *room);
    for (size_t bh = 0; room && bh < c->B * c->H; bh++) {
        const size_t b = bh / c->H,
                     first = MADE(ATTENTION_HEADS_INTERLEAVED) ? bh % c->H : bh % c->H * d;
        const real *q = qkv + b * T * 3 * C + first;
        real *dq = dqkv ? dqkv + b * T * 3 * C + first : NULL;
        struct head h = {.q = q,
                         .k = q + C,
                         .v = q + 2 * C,
                         .p = room,
                         .m = room + T * T,
                         .dp = room + 2 * T * T,
                         .T = T,
                         .d = d};
        h.start = c->start ? c->start + b * T : NULL;
        h.ld = 3 * C;
        h.ldy = C;
        h.step = MADE(ATTENTION_HEADS_INTERLEAVED) ? c->H : 1;
        h.scale = MADE(ATTENTION_UNSCALED)
                      ? 1
                      : 1 / sqrt((double)(MADE(ATTENTION_SCALE_OF_WIDTH) ? C : d));
        h.y = y ? y + b * T * C + first : NULL;
        h.lse = lse ? lse + bh * T : NULL;
        h.dy = dy ? dy + b * T * C + first : NULL;
        h.dq = dq;
        h.dk = dq ? dq + C : NULL;
        h.dv = dq ? dq + 2 * C : NULL;
        for (size_t i = 0; i < T; i++)
            for (size_t j = 0; j < T; j++)
                h.m[i * T + j] = 1;
        for (size_t i = 0; i < T && c->p > 0; i++) {
            const size_t first = h.start ? h.start[i] : 0;
            dropout_mask(h.m + i * T + first, &drop, 4 * OP_LAYER + DROP_ATTENTION,
                         (c->first_row * c->H + bh) * T + i, 0, T - first);
        }
        work(&h, faults);
    }
    free(room);
}

void plain_attention_forward(op_function *f, void *const *x, const struct op_case *c)
{
    (void)f;
    for_each_head(c, c->faults, x[0], x[1], x[2], NULL, NULL, head_forward);
}

void plain_attention_backward(op_function *f, void *const *dx, void *const *x,
                              const struct op_case *c)
{
    (void)f;
    const unsigned both = c->faults & ATTENTION_BOTH ? ~0u : ~(unsigned)FORWARD_FAULTS;
    real *dqkv = dx[2];
    for (size_t i = 0; c->faults & ATTENTION_ASSIGNED && i < c->B * c->T * 3 * c->C; i++)
        dqkv[i] = 0;
    for_each_head(c, c->faults & both, NULL, NULL, x[2], dx[0], dqkv, head_backward);
}
