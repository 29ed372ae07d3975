/* attention_strip.c: a strip of queries with one block of keys after the other. The mathematics is
 * in attention.c.
 *
 * Scores are stored transposed, one row per key, so that each lane of a machine vector belongs to
 * one query: maximum, exponential and sum need no operation across lanes.
 *
 *     S^T = K Q^T,   Y += P V,   dP^T = V dY^T,   dQ += dS K,   dV += P^T dY,   dK += dS^T Q
 */
#include "model/attention_strip.h"
#include "base/minmax.h"
#include "model/gemm/tile.h"
#include "model/real.h"
#include <string.h>

/* STRIP queries, KEYS keys and WIDE columns of the head are processed at a time, which bounds a
 * thread's memory. Products take PANEL queries at a time; the softmax, which computes all scores of
 * its queries, visible or not, takes QUERIES. */
enum {
    STRIP = ATTENTION_STRIP,
    KEYS = 64,
    WIDE = 1024 / sizeof(real),
    MAX_ROW = STRIP + LANES,
    QUERIES = 2 * LANES
};
_Static_assert(KEYS % PANEL == 0 && STRIP % KEYS == 0,
               "a block of keys begins with a panel of queries");

/* The work of a thread: queries [i0, i0 + n) of a head and keys [j0, j0 + nj). Rows of transposed
 * matrices are `row` elements apart: one vector more than n takes, so that the elements of a column
 * do not share one set of the cache. */
struct strip {
    /* columns [c, c + width) of the head: scaled queries, and dy, transposed; zero beyond n in the
     * last vector */
    _Alignas(64) real qt[WIDE * MAX_ROW];
    _Alignas(64) real dyt[WIDE * MAX_ROW];
    _Alignas(64) real q[STRIP * WIDE]; /* the same, not transposed; rows ld apart */
    _Alignas(64) real dy[STRIP * WIDE];
    _Alignas(64) real kv[KEYS * WIDE];    /* the block's keys or values */
    _Alignas(64) real s[KEYS * MAX_ROW];  /* scores, then weights: (keys, queries) */
    _Alignas(64) real ds[KEYS * MAX_ROW]; /* their gradients */
    _Alignas(64) real top[STRIP];         /* forward: the largest score so far */
    _Alignas(64) real sum[STRIP];         /* forward: the sum of weights */
    _Alignas(64) real lse[STRIP];         /* backward */
    _Alignas(64) real D[STRIP];           /* backward: dy . y */
    const struct attention_head *h;
    size_t i0, n, row, j0, nj, c, width, ld;
};

/* Queries [p, p + n) of a strip. The first sees first + 1 of the block's keys, each further query
 * one more; any of them sees at most `seen`. */
struct panel {
    size_t p, n, first, seen;
};

/* The first query of a strip that sees any of the block's keys; it begins a panel. */
static size_t first_query(const struct strip *s)
{
    return s->j0 > s->i0 ? s->j0 - s->i0 : 0;
}

static struct panel panel(const struct strip *s, size_t p, size_t width)
{
    const size_t n = size_min(s->n - p, width), first = s->i0 + p - s->j0;
    return (struct panel){p, n, first, size_min(s->nj, first + n)};
}

/* out (width, n) = factor times the transpose of x (n, width). */
static void transpose_scaled(real *out, const struct strip *s, const real *x, size_t ldx,
                             real factor)
{
    const size_t n = s->n;
    tile_transpose(out, s->row, x, ldx, n, s->width);
    for (size_t c = 0; c < s->width; c++, out += s->row) {
#pragma omp simd
        for (size_t i = 0; i < n; i++)
            out[i] *= factor;
        for (size_t i = n; i % LANES; i++)
            out[i] = 0;
    }
}

/* Copies n rows of x, padded with zeros to whole vectors. */
static void copy(real *out, const struct strip *s, const real *x, size_t ldx, size_t n)
{
    for (size_t i = 0; i < n; i++, out += s->ld, x += ldx) {
        memcpy(out, x, s->width * sizeof *out);
        for (size_t c = s->width; c < s->ld; c++)
            out[c] = 0;
    }
}

/* Loads the columns of the head from c on, unless they are loaded. */
static void load(struct strip *s, size_t c)
{
    const struct attention_head *h = s->h;
    if (s->width && s->c == c)
        return;
    s->c = c;
    s->width = size_min(h->d - c, WIDE);
    s->ld = tile_width(s->width);
    transpose_scaled(s->qt, s, h->q + s->i0 * h->ld + c, h->ld, h->scale);
    if (h->dy) {
        transpose_scaled(s->dyt, s, h->dy + s->i0 * h->C + c, h->C, 1);
        copy(s->q, s, h->q + s->i0 * h->ld + c, h->ld, s->n);
        copy(s->dy, s, h->dy + s->i0 * h->C + c, h->C, s->n);
    }
}

/* out (keys, queries) = or += A B for keys or values A and transposed queries or dy B, where
 * visible. */
static void keys_by_queries(real *out, const struct strip *s, const real *A, const real *B)
{
    A += s->j0 * s->h->ld + s->c;
    for (size_t at = first_query(s); at < s->n; at += PANEL) {
        const struct panel p = panel(s, at, PANEL);
        tile_product(&(struct tile){p.seen, p.n, s->width, A, s->h->ld, 1, B + at, s->row, out + at,
                                    s->row, s->c > 0, true, TILE_UPPER_C, p.first});
    }
}

/* The scores of the block; backward: also dy . v. */
static void scores(struct strip *s)
{
    for (size_t c = 0; c < s->h->d; c += WIDE) {
        load(s, c);
        keys_by_queries(s->s, s, s->h->k, s->qt);
        if (s->h->dy)
            keys_by_queries(s->ds, s, s->h->v, s->dyt);
    }
}

/* Y (queries, d), rows ldy apart, += x^T B for weights x (keys, queries) and keys or values B; = if
 * add is false. */
static void sum_over_keys(real *Y, size_t ldy, bool add, struct strip *s, const real *x,
                          const real *B)
{
    const size_t from = first_query(s), first = s->i0 + from - s->j0;
    for (size_t c = 0; c < s->h->d; c += WIDE) {
        load(s, c);
        copy(s->kv, s, B + s->j0 * s->h->ld + c, s->h->ld, s->nj);
        tile_product(&(struct tile){s->n - from, s->width, s->nj, x + from, 1, s->row, s->kv, s->ld,
                                    Y + (s->i0 + from) * ldy + c, ldy, add, false, TILE_LOWER_A,
                                    first});
    }
}

/* dV (keys, d) += P dY and dK += dS Q for weights and their gradients (keys, queries). */
static void sums_over_queries(struct strip *s)
{
    const struct attention_head *h = s->h;
    const size_t from = first_query(s);
    const bool on_diagonal = s->j0 >= s->i0; /* no earlier strip saw these keys */
    for (size_t c = 0; c < h->d; c += WIDE) {
        load(s, c);
        struct tile t = {.M = s->nj,
                         .N = s->width,
                         .K = s->n - from,
                         .a = s->s + from,
                         .a_row = s->row,
                         .a_column = 1,
                         .b = s->dy + from * s->ld,
                         .b_row = s->ld,
                         .c = h->dv + s->j0 * h->ld + c,
                         .ldc = h->ld,
                         .add = !(h->set && on_diagonal),
                         .part = on_diagonal ? TILE_UPPER_A : TILE_WHOLE};
        tile_product(&t);
        t.a = s->ds + from, t.b = s->q + from * s->ld, t.c = h->dk + s->j0 * h->ld + c;
        tile_product(&t);
    }
}

/* Multiplies weights by the dropout mask. */
static void drop(real *x, const struct strip *s, const struct panel *p)
{
    const struct attention_head *h = s->h;
    const size_t row = s->row;
    for (size_t l = 0; dropout_active(h->drop) && l < p->n; l++) {
        real mask[KEYS];
        const size_t n = size_min(s->nj, p->first + l + 1);
        dropout_mask(mask, h->drop, h->site, h->first_row + s->i0 + p->p + l, s->j0, n);
        for (size_t j = 0; j < n; j++)
            x[j * row + p->p + l] *= mask[j];
    }
}

/* The first query of a panel that sees key j of the block. */
static uint32_t first_seeing(const struct panel *p, size_t j)
{
    return j > p->first ? (uint32_t)(j - p->first) : 0;
}

/* Zeroes the vectors of a panel that no product wrote: before the diagonal, and after the last
 * query. Results computed from them are discarded, but should not depend on uninitialised
 * memory. */
static void clear_unwritten(real *out, const struct strip *s, const struct panel *p)
{
    real *x = out + p->p;
    for (size_t j = p->first + LANES; j < p->seen; j++)
        memset(x + j * s->row, 0, LANES * sizeof *x);
    for (size_t j = 0; p->n <= LANES && j < p->seen; j++)
        memset(x + j * s->row + LANES, 0, LANES * sizeof *x);
}

/* Replaces the scores of a panel by exp(s - m), where m is each query's largest score so far, and
 * rescales the queries' sum and y to the new m. All queries see the first key. */
static void online_softmax(struct strip *s, const struct panel *p)
{
    real *x = s->s + p->p, *top = s->top + p->p, *sum = s->sum + p->p, rescale[QUERIES];
    const size_t row = s->row;
    const bool first = s->j0 == 0;
    __typeof__(real_part(*x)) largest[QUERIES];
    for (uint32_t l = 0; l < QUERIES; l++)
        largest[l] =
            first || real_part(x[l]) > real_part(top[l]) ? real_part(x[l]) : real_part(top[l]);
    for (size_t j = 1; j < p->seen; j++) {
        const uint32_t from = first_seeing(p, j);
#pragma omp simd
        for (uint32_t l = 0; l < QUERIES; l++)
            largest[l] = l >= from && real_part(x[j * row + l]) > largest[l]
                             ? real_part(x[j * row + l])
                             : largest[l];
    }
#pragma omp simd
    for (uint32_t l = 0; l < QUERIES; l++) {
        rescale[l] = first ? 0 : real_exp(top[l] - largest[l]);
        sum[l] = first ? 0 : sum[l] * rescale[l];
        top[l] = largest[l];
    }
    for (size_t j = 0; j < p->seen; j++) {
        const uint32_t from = first_seeing(p, j);
#pragma omp simd
        for (uint32_t l = 0; l < QUERIES; l++) {
            const real e = real_exp(x[j * row + l] - top[l]);
            x[j * row + l] = l >= from ? e : 0;
            sum[l] += x[j * row + l];
        }
    }
    for (size_t l = 0; !first && l < p->n; l++) {
        real *y = s->h->y + (s->i0 + p->p + l) * s->h->C;
        for (size_t c = 0; rescale[l] != 1 && c < s->h->d; c++)
            y[c] *= rescale[l];
    }
}

static void forward_block(struct strip *s)
{
    scores(s);
    for (size_t at = first_query(s); at < s->n; at += QUERIES) {
        const struct panel p = panel(s, at, QUERIES);
        clear_unwritten(s->s, s, &p);
        online_softmax(s, &p);
        drop(s->s, s, &p);
    }
    sum_over_keys(s->h->y, s->h->C, s->j0 > 0, s, s->s, s->h->v);
}

static void forward_end(const struct strip *s)
{
    const struct attention_head *h = s->h;
    for (size_t i = 0; i < s->n; i++) {
        const real share = 1 / s->sum[i];
        h->lse[s->i0 + i] = s->top[i] + real_log(s->sum[i]);
        for (size_t c = 0; c < h->d; c++)
            h->y[(s->i0 + i) * h->C + c] *= share;
    }
}

/* Replaces scores and dy . v by the weights and their scaled gradients. */
static void weights_backward(struct strip *s, const struct panel *p)
{
    real *x = s->s + p->p, *dx = s->ds + p->p;
    const real *lse = s->lse + p->p, *D = s->D + p->p, scale = s->h->scale;
    const size_t row = s->row;
    drop(s->ds, s, p);
    for (size_t j = 0; j < p->seen; j++) {
        const uint32_t from = first_seeing(p, j);
#pragma omp simd
        for (uint32_t l = 0; l < QUERIES; l++) {
            const real e = real_exp(x[j * row + l] - lse[l]),
                       de = scale * e * (dx[j * row + l] - D[l]);
            x[j * row + l] = l >= from ? e : 0;
            dx[j * row + l] = l >= from ? de : 0;
        }
    }
    drop(s->s, s, p);
}

static void backward_begin(struct strip *s)
{
    const struct attention_head *h = s->h;
    for (size_t i = 0; i < s->n; i++) {
        const real *dy = h->dy + (s->i0 + i) * h->C, *y = h->y + (s->i0 + i) * h->C;
        const size_t d = h->d;
        acc sum = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t c = 0; c < d; c++)
            sum += dy[c] * y[c];
        s->D[i] = (real)sum;
        s->lse[i] = h->lse[s->i0 + i];
    }
    for (size_t i = s->n; i % QUERIES; i++)
        s->D[i] = s->lse[i] = 0;
}

static void backward_block(struct strip *s)
{
    const struct attention_head *h = s->h;
    scores(s);
    for (size_t at = first_query(s); at < s->n; at += QUERIES) {
        const struct panel p = panel(s, at, QUERIES);
        clear_unwritten(s->s, s, &p);
        clear_unwritten(s->ds, s, &p);
        weights_backward(s, &p);
    }
    sums_over_queries(s);
    sum_over_keys(h->dq, h->ld, s->j0 > 0 || !h->set, s, s->ds, h->k);
}

void attention_strip(const struct attention_head *h, size_t i0)
{
    struct strip s;
    s.h = h;
    s.i0 = i0;
    s.n = size_min(h->T - i0, STRIP);
    s.row = ceil_div(s.n, QUERIES) * QUERIES + LANES;
    s.width = 0; /* no columns are loaded */
    if (h->dy)
        backward_begin(&s);
    for (s.j0 = 0; s.j0 < i0 + s.n; s.j0 += KEYS) {
        s.nj = size_min(i0 + s.n - s.j0, KEYS);
        (h->dy ? backward_block : forward_block)(&s);
    }
    if (!h->dy)
        forward_end(&s);
}
