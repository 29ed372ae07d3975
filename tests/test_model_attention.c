/* test_model_attention.c: attention by tiles is attention as its head comment defines it, with every T x T matrix written out.
 * T stands on both sides of the edges of blocks of keys (64) and
 * strips of queries (192); heads are narrower than a vector, of several, and wider than a piece (128 floats). The program is built for float and for double.
 *
 *   property                                                    bar
 *   y, lse, dqkv against the plain version                      64 roundings, norm-wise: scores are of size 1 and rounded
 *                                                               alike in both, each sum has at most T + d terms of mixed sign
 *   rows of weights sum to one                                  (T + 4) roundings
 *   +-10^4 added to all of a row's (exact) scores               y and lse - 10^4: the same bits; gradients: 10^4 more
 *                                                               roundings, since lse, saved in `real`, carries them
 *   causality, a NaN or an infinity in the last key or value    the same bits before it
 *   gradients of tokens after the last dy                       zero, exactly
 *   documents: each as in a row of its own; a NaN in another    the same bits
 *   micro-batches with first_row; 1, 2, 3, 5 threads            the same bits
 */
#include "../model/attention.h"
#include "../model/softmax.h"
#include "numbers.h"

#define TOLERANCE (64 * ROUNDOFF)

enum { SITE = 5 };
static const struct dropout dropout = {.p = 0.3, .seed = 7, .step = 3, .first_row = 5};

static const struct shape {
    size_t B, T, C, H;
} shapes[] = {{1, 1, 4, 1},  {2, 1, 3, 3},  {1, 15, 8, 2},  {2, 16, 6, 2},   {1, 17, 5, 1},   {1, 63, 9, 3},
              {2, 64, 7, 7}, {1, 65, 8, 1}, {1, 129, 3, 1}, {1, 130, 66, 2}, {2, 200, 24, 3}, {1, 197, 150, 1}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* Everything of one call: inputs, outputs, gradients. */
struct attention {
    struct shape s;
    const struct dropout *drop;
    real *qkv, *y, *lse, *dy, *dqkv;
    const uint32_t *start; /* NULL unless a test says otherwise */
};

static struct attention attention(const struct shape *s, const struct dropout *drop)
{
    const size_t N = s->B * s->T;
    return (struct attention){*s,
                              drop,
                              random_array(N * 3 * s->C, 1.7, 1),
                              zeros(N * s->C),
                              zeros(N * s->H),
                              random_array(N * s->C, 1, 2),
                              zeros(N * 3 * s->C),
                              NULL};
}

static void free_attention(struct attention *a)
{
    free(a->qkv);
    free(a->y);
    free(a->lse);
    free(a->dy);
    free(a->dqkv);
}

static void forward(struct attention *a)
{
    attention_forward(a->y, a->lse, a->qkv, a->start, a->s.B, a->s.T, a->s.C, a->s.H, a->drop, SITE);
}

static void backward(struct attention *a)
{
    attention_backward(a->dqkv, a->dy, a->qkv, a->y, a->lse, a->start, a->s.B, a->s.T, a->s.C, a->s.H, a->drop, SITE);
}

/* --- the plain version: one head; rows of q, k, v lie 3C apart, of y C apart --- */

static double dot(const real *x, const real *y, size_t n)
{
    double sum = 0;
    for (size_t c = 0; c < n; c++)
        sum += (double)x[c] * (double)y[c];
    return sum;
}

/* The first key of query i. */
static size_t first_key(const struct attention *a, size_t bh, size_t i)
{
    return a->start ? a->start[bh / a->s.H * a->s.T + i] : 0;
}

/* The weights p (T,T), zero above the diagonal and before a query's document, their log-sum-exp, and the mask m (T,T). */
static void plain_weights(real *p, real *m, real *lse, const struct attention *a, size_t bh)
{
    const size_t T = a->s.T, C = a->s.C, H = a->s.H, d = C / H;
    const real *q = a->qkv + bh / H * T * 3 * C + bh % H * d, *k = q + C;
    for (size_t i = 0; i < T; i++) {
        const size_t first = first_key(a, bh, i);
        double top = -INFINITY, sum = 0;
        for (size_t j = first; j <= i; j++) {
            p[i * T + j] = (real)(dot(q + i * 3 * C, k + j * 3 * C, d) / sqrt((double)d));
            top = fmax(top, (double)p[i * T + j]);
        }
        for (size_t j = first; j <= i; j++)
            sum += exp((double)p[i * T + j] - top);
        lse[bh * T + i] = (real)(top + log(sum));
        softmax_forward(p + i * T + first, p + i * T + first, 1, i + 1 - first);
        for (size_t j = 0; j < T; j++)
            m[i * T + j] = 1;
        if (a->drop)
            dropout_mask(m + i * T + first, a->drop, SITE, (a->drop->first_row * H + bh) * T + i, 0, T - first);
    }
}

static void plain_head_forward(real *y, const real *p, const real *m, const struct attention *a, size_t bh)
{
    const size_t T = a->s.T, C = a->s.C, H = a->s.H, d = C / H;
    const real *v = a->qkv + bh / H * T * 3 * C + bh % H * d + 2 * C;
    for (size_t i = 0; i < T; i++)
        for (size_t c = 0; c < d; c++) {
            double sum = 0;
            for (size_t j = first_key(a, bh, i); j <= i; j++)
                sum += (double)(p[i * T + j] * m[i * T + j]) * (double)v[j * 3 * C + c];
            y[(bh / H * T + i) * C + bh % H * d + c] = (real)sum;
        }
}

static void plain_head_backward(real *dqkv, const real *p, const real *m, const struct attention *a, size_t bh)
{
    const size_t T = a->s.T, C = a->s.C, H = a->s.H, d = C / H, first = bh / H * T * 3 * C + bh % H * d;
    const real *q = a->qkv + first, *k = q + C, *v = k + C, *dy = a->dy + bh / H * T * C + bh % H * d;
    real *dq = dqkv + first, *dk = dq + C, *dv = dk + C, *dp = zeros(T), *ds = zeros(T);
    const real scale = (real)(1 / sqrt((double)d));
    for (size_t i = 0; i < T; i++) {
        const size_t first = first_key(a, bh, i);
        for (size_t j = first; j <= i; j++) {
            dp[j] = m[i * T + j] * (real)dot(dy + i * C, v + j * 3 * C, d);
            ds[j] = 0;
        }
        softmax_backward(ds + first, dp + first, p + i * T + first, 1, i + 1 - first);
        for (size_t j = first; j <= i; j++)
            for (size_t c = 0; c < d; c++) {
                dv[j * 3 * C + c] += p[i * T + j] * m[i * T + j] * dy[i * C + c];
                dq[i * 3 * C + c] += scale * ds[j] * k[j * 3 * C + c];
                dk[j * 3 * C + c] += scale * ds[j] * q[i * 3 * C + c];
            }
    }
    free(dp);
    free(ds);
}

/* The plain version of both passes, for the same inputs; the gradient is added to what a->dqkv holds. */
static struct attention plain(const struct attention *a)
{
    const size_t T = a->s.T, N = a->s.B * T;
    struct attention r = attention(&a->s, a->drop);
    r.start = a->start;
    memcpy(r.qkv, a->qkv, N * 3 * a->s.C * sizeof(real));
    memcpy(r.dy, a->dy, N * a->s.C * sizeof(real));
    memcpy(r.dqkv, a->dqkv, N * 3 * a->s.C * sizeof(real));
    real *p = zeros(T * T), *m = zeros(T * T);
    for (size_t bh = 0; bh < a->s.B * a->s.H; bh++) {
        plain_weights(p, m, r.lse, &r, bh);
        plain_head_forward(r.y, p, m, &r, bh);
        plain_head_backward(r.dqkv, p, m, &r, bh);
    }
    free(p);
    free(m);
    return r;
}

static void compare(const struct attention *a, const struct attention *expected, double tolerance, const char *what)
{
    const size_t N = a->s.B * a->s.T, C = a->s.C;
    require_within(error_of(a->y, expected->y, N * C), TOLERANCE, "%s T %zu C %zu H %zu: y", what, a->s.T, C, a->s.H);
    require_within(error_of(a->lse, expected->lse, N * a->s.H), TOLERANCE, "%s T %zu C %zu H %zu: lse", what, a->s.T, C, a->s.H);
    require_within(error_of(a->dqkv, expected->dqkv, N * 3 * C), tolerance, "%s T %zu C %zu H %zu: dqkv", what, a->s.T, C,
                   a->s.H);
}

/* dqkv starts at a random array: the backward adds. */
START_TEST(is_the_plain_version)
{
    for (size_t k = 0; k < SHAPES; k++)
        for (int dropped = 0; dropped < 2; dropped++) {
            struct attention a = attention(&shapes[k], dropped ? &dropout : NULL);
            fill(a.dqkv, a.s.B * a.s.T * 3 * a.s.C, 0.1, 3);
            struct attention expected = plain(&a);
            forward(&a);
            backward(&a);
            compare(&a, &expected, TOLERANCE, dropped ? "dropout" : "plain");
            free_attention(&a);
            free_attention(&expected);
        }
}
END_TEST

/* Whether y and lse of both agree to the bit before token t, in every sequence and head. */
static int same_before(const struct attention *a, const struct attention *b, size_t t)
{
    int same = 1;
    for (size_t s = 0; s < a->s.B; s++)
        same &= same_bits(a->y + s * a->s.T * a->s.C, b->y + s * a->s.T * a->s.C, t * a->s.C);
    for (size_t h = 0; h < a->s.B * a->s.H; h++)
        same &= same_bits(a->lse + h * a->s.T, b->lse + h * a->s.T, t);
    return same;
}

/* start (B,T): documents of every length, among them one token, whole rows, and strips' and blocks' own. */
static uint32_t *draw_start(const struct shape *s, uint64_t seed)
{
    uint32_t *start = malloc(s->B * s->T * sizeof *start);
    const double often = seed % 4 == 0 ? 0.5 : seed % 4 == 1 ? 0.05 : seed % 4 == 2 ? 0.01 : 0;
    for (size_t n = 0; n < s->B * s->T; n++) {
        const size_t t = n % s->T;
        const bool begins = t == 0 || fabs(uniform(seed, n)) < often || (seed % 4 == 3 && (t == 64 || t == 192 || t == 65));
        start[n] = begins ? (uint32_t)t : start[n - 1];
    }
    return start;
}

START_TEST(documents_are_the_plain_version)
{
    for (size_t k = 0; k < SHAPES; k++)
        for (uint64_t seed = 0; seed < 8; seed++) {
            struct attention a = attention(&shapes[k], seed >= 4 ? &dropout : NULL);
            uint32_t *start = draw_start(&shapes[k], seed);
            a.start = start;
            fill(a.dqkv, a.s.B * a.s.T * 3 * a.s.C, 0.1, 3);
            struct attention expected = plain(&a);
            forward(&a);
            backward(&a);
            compare(&a, &expected, TOLERANCE, "documents");
            free_attention(&a);
            free_attention(&expected);
            free(start);
        }
}
END_TEST

/* One document a row is no document at all; and a document in a row gives the bits that it gives in a row of its own. */
START_TEST(documents_are_sequences_of_their_own)
{
    const struct shape whole = {1, 450, 24, 3};
    uint32_t *zero = calloc(450, sizeof *zero);
    struct attention a = attention(&whole, &dropout), b = attention(&whole, &dropout);
    b.start = zero;
    forward(&a), backward(&a);
    forward(&b), backward(&b);
    require(same_before(&a, &b, 450) && same_bits(a.dqkv, b.dqkv, 450 * 72), "one document is not one row");
    free_attention(&a);
    free_attention(&b);
    free(zero);
    for (uint64_t seed = 0; seed < 4; seed++) {
        uint32_t *start = draw_start(&whole, seed);
        struct attention all = attention(&whole, NULL);
        all.start = start;
        forward(&all), backward(&all);
        for (size_t first = 0, end; first < 450; first = end) {
            for (end = first + 1; end < 450 && start[end] == first; end++)
                ;
            const struct shape one = {1, end - first, 24, 3};
            struct attention own = attention(&one, NULL);
            memcpy(own.qkv, all.qkv + first * 72, (end - first) * 72 * sizeof(real));
            memcpy(own.dy, all.dy + first * 24, (end - first) * 24 * sizeof(real));
            forward(&own), backward(&own);
            require(same_bits(own.y, all.y + first * 24, (end - first) * 24), "y of %zu to %zu", first, end);
            require(same_bits(own.dqkv, all.dqkv + first * 72, (end - first) * 72), "dqkv of %zu to %zu", first, end);
            free_attention(&own);
        }
        free_attention(&all);
        free(start);
    }
}
END_TEST

/* Not even what is not a number gets from one document to another, there or back. */
START_TEST(nan_stays_in_its_document)
{
    for (size_t k = 0; k < SHAPES; k++) {
        const size_t T = shapes[k].T, C = shapes[k].C, from = T / 3, to = T / 3 + (T + 2) / 3;
        struct attention a = attention(&shapes[k], NULL), b = attention(&shapes[k], NULL);
        uint32_t *start = calloc(a.s.B * T, sizeof *start);
        for (size_t n = 0; n < a.s.B * T; n++)
            start[n] = (uint32_t)(n % T < from ? 0 : n % T < to ? from : to);
        a.start = b.start = start;
        for (size_t n = 0; n < a.s.B * T; n++)
            for (size_t c = 0; n % T >= from && n % T < to && c < 3 * C; c++)
                b.qkv[n * 3 * C + c] = NAN;
        forward(&a), backward(&a);
        forward(&b), backward(&b);
        for (size_t n = 0; n < a.s.B * T; n++) {
            const bool inside = n % T >= from && n % T < to;
            require(inside ? isnan(b.y[n * C]) : same_bits(a.y + n * C, b.y + n * C, C), "T %zu: y of %zu", T, n);
            require(inside ? isnan(b.dqkv[n * 3 * C]) : same_bits(a.dqkv + n * 3 * C, b.dqkv + n * 3 * C, 3 * C),
                    "T %zu: dqkv of %zu", T, n);
        }
        free_attention(&a);
        free_attention(&b);
        free(start);
    }
}
END_TEST

START_TEST(weights_of_a_row_sum_to_one)
{
    for (size_t k = 0; k < SHAPES; k++) {
        struct attention a = attention(&shapes[k], NULL);
        const size_t N = a.s.B * a.s.T, C = a.s.C;
        for (size_t n = 0; n < N; n++)
            for (size_t c = 2 * C; c < 3 * C; c++)
                a.qkv[n * 3 * C + c] = 1; /* so that y is the sum of the weights */
        forward(&a);
        for (size_t i = 0; i < N * C; i++)
            require_within(fabs((double)a.y[i] - 1), (double)(a.s.T + 4) * ROUNDOFF, "T %zu, element %zu", a.s.T, i);
        free_attention(&a);
    }
}
END_TEST

/* One head of four: scores are q . k / 2. The first product is +-200 x 100 / 2, the others small integers, so every score is exact
 * in both types, and with it all that a softmax looks at: the distance from the maximum. */
static void integer_scores(struct attention *a, double offset)
{
    for (size_t n = 0; n < a->s.T; n++) {
        real *q = a->qkv + n * 12, *k = q + 4;
        for (size_t c = 1; c < 4; c++) {
            q[c] = (real)floor(3 * uniform(11, n * 4 + c));
            k[c] = (real)floor(3 * uniform(12, n * 4 + c));
        }
        q[0] = (real)(n % 2 ? offset : -offset) / 50;
        k[0] = 100;
    }
}

START_TEST(large_scores_are_only_differences)
{
    for (size_t T = 1; T < 200; T += 33) {
        const struct shape s = {1, T, 4, 1};
        struct attention small = attention(&s, NULL), large = attention(&s, NULL);
        integer_scores(&small, 0);
        integer_scores(&large, 1e4);
        forward(&small);
        forward(&large);
        require(same_bits(small.y, large.y, T * 4), "T %zu: y depends on a constant in the scores", T);
        for (size_t i = 0; i < T; i++)
            require_within(fabs((double)(large.lse[i] - small.lse[i]) - (i % 2 ? 1e4 : -1e4)), 1e4 * ROUNDOFF, "T %zu: lse %zu",
                           T, i);
        struct attention expected = plain(&large);
        backward(&large);
        compare(&large, &expected, TOLERANCE + 1e4 * ROUNDOFF, "large scores");
        free_attention(&small);
        free_attention(&large);
        free_attention(&expected);
    }
}
END_TEST

START_TEST(scores_far_apart_stay_finite)
{
    const struct shape s = {1, 150, 8, 2};
    struct attention a = attention(&s, NULL);
    fill(a.qkv, 150 * 3 * 8, 120, 4); /* scores up to +-120 x 120 x 4 / 2 */
    forward(&a);
    backward(&a);
    for (size_t i = 0; i < 150 * 8; i++)
        require(isfinite(a.y[i]) && fabs((double)a.y[i]) <= 121, "y %zu is %g", i, (double)a.y[i]);
    for (size_t i = 0; i < 150 * 24; i++)
        require(isfinite(a.dqkv[i]), "dqkv %zu is %g", i, (double)a.dqkv[i]);
    free_attention(&a);
}
END_TEST

START_TEST(the_past_does_not_see_the_future)
{
    for (size_t k = 0; k < SHAPES; k++)
        for (size_t t = 0; t < shapes[k].T; t = t < 17 ? t + 1 : t + 23) {
            struct attention a = attention(&shapes[k], NULL), b = attention(&shapes[k], NULL);
            const size_t T = a.s.T, C = a.s.C;
            for (size_t s = 0; s < a.s.B; s++)
                fill(b.qkv + (s * T + t) * 3 * C, 3 * C, 2, 99);
            forward(&a);
            forward(&b);
            require(same_before(&a, &b, t), "T %zu: token %zu changed what came before", T, t);
            require(!same_bits(a.y + t * C, b.y + t * C, C), "T %zu: token %zu changed nothing", T, t);
            free_attention(&a);
            free_attention(&b);
        }
}
END_TEST

START_TEST(nan_and_infinity_stay_in_the_last_token)
{
    const double poisons[] = {NAN, INFINITY, -INFINITY};
    for (size_t k = 0; k < SHAPES; k++)
        for (int what = 0; what < 3; what++) {
            struct attention a = attention(&shapes[k], NULL), b = attention(&shapes[k], NULL);
            const size_t T = a.s.T, C = a.s.C;
            for (size_t s = 0; s < a.s.B; s++)
                for (size_t c = C; c < 3 * C; c++)
                    b.qkv[(s * T + T - 1) * 3 * C + c] = (real)poisons[what];
            forward(&a);
            forward(&b);
            require(same_before(&a, &b, T - 1), "T %zu: %g in the last token's key or value changed others", T, poisons[what]);
            require(!isfinite(b.y[(T - 1) * C]), "T %zu: %g vanished", T, poisons[what]);
            free_attention(&a);
            free_attention(&b);
        }
}
END_TEST

START_TEST(no_gradient_for_later_tokens)
{
    for (size_t k = 0; k < SHAPES; k++)
        for (size_t t = 1; t < shapes[k].T; t = t < 17 ? t + 1 : t + 23) {
            struct attention a = attention(&shapes[k], k % 2 ? &dropout : NULL);
            const size_t T = a.s.T, C = a.s.C;
            for (size_t n = 0; n < a.s.B * T; n++)
                if (n % T >= t)
                    memset(a.dy + n * C, 0, C * sizeof(real));
            forward(&a);
            backward(&a);
            double earlier = 0;
            for (size_t i = 0; i < a.s.B * T * 3 * C; i++) {
                require(i / (3 * C) % T < t || a.dqkv[i] == 0, "T %zu: dy before %zu reached element %zu", T, t, i);
                earlier += i / (3 * C) % T < t ? fabs((double)a.dqkv[i]) : 0;
            }
            require(earlier > 0, "T %zu: no gradient at all", T);
            free_attention(&a);
        }
}
END_TEST

START_TEST(micro_batches_draw_what_the_large_batch_draws)
{
    const struct shape whole = {4, 70, 12, 3}, half = {2, 70, 12, 3};
    const size_t N = 2 * 70;
    struct attention a = attention(&whole, &dropout);
    forward(&a);
    backward(&a);
    for (size_t part = 0; part < 2; part++) {
        struct dropout d = dropout;
        d.first_row += 2 * part;
        struct attention b = attention(&half, &d);
        memcpy(b.qkv, a.qkv + part * N * 36, N * 36 * sizeof(real));
        memcpy(b.dy, a.dy + part * N * 12, N * 12 * sizeof(real));
        forward(&b);
        backward(&b);
        require(same_bits(b.y, a.y + part * N * 12, N * 12), "y of part %zu", part);
        require(same_bits(b.dqkv, a.dqkv + part * N * 36, N * 36), "dqkv of part %zu", part);
        free_attention(&b);
    }
    free_attention(&a);
}
END_TEST

START_TEST(same_bits_at_any_thread_count)
{
    for (size_t k = 0; k < SHAPES; k++) {
        struct attention first = attention(&shapes[k], &dropout);
        uint32_t *start = k % 2 ? draw_start(&shapes[k], k / 2) : NULL;
        first.start = start;
        omp_set_num_threads(1);
        forward(&first);
        backward(&first);
        for (int t = 1; t < THREAD_COUNTS; t++) {
            struct attention a = attention(&shapes[k], &dropout);
            a.start = start;
            const size_t N = a.s.B * a.s.T;
            omp_set_num_threads(thread_counts[t]);
            forward(&a);
            backward(&a);
            require(same_before(&a, &first, a.s.T), "forward: %d threads give other bits", thread_counts[t]);
            require(same_bits(a.dqkv, first.dqkv, N * 3 * a.s.C), "backward: %d threads give other bits", thread_counts[t]);
            free_attention(&a);
        }
        free_attention(&first);
        free(start);
    }
}
END_TEST

SUITE_FLOAT_DOUBLE("attention", is_the_plain_version, documents_are_the_plain_version, documents_are_sequences_of_their_own,
                   nan_stays_in_its_document, weights_of_a_row_sum_to_one, large_scores_are_only_differences,
                   scores_far_apart_stay_finite, the_past_does_not_see_the_future, nan_and_infinity_stay_in_the_last_token,
                   no_gradient_for_later_tokens, micro_batches_draw_what_the_large_batch_draws, same_bits_at_any_thread_count)
