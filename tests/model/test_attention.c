/* test_attention.c: tiled attention equals attention as defined in the head comment of
 * model/attention.c, computed with full T x T matrices. Built for float and for double.
 *
 *   property                               tolerance
 *   y, lse, dqkv equal the reference       64 roundings, norm-wise: scores are of size 1 and are
 *                                          rounded alike in both; each sum has at most T + d terms
 *                                          of mixed sign
 *   weights of a row sum to one            (T + 4) roundings
 *   +-10^4 added to all (exact) scores of  y and lse - 10^4: the same bits; gradients: 10^4 more
 *   a row                                  roundings, since lse, saved as `real`, contains them
 *   micro-batches with first_row;          the same bits
 *   1, 2, 3, 5 threads
 */
#include "model/softmax.h"
#include "tests/attention_fixture.h"

#define TOLERANCE (64 * ROUNDOFF)

/* --- the reference: one head; the stride of rows of q, k, v is 3C, that of y is C --- */

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

/* The weights p (T,T), zero above the diagonal and before the query's document, their
 * log-sum-exp, and the dropout mask m (T,T). */
static void reference_weights(real *p, real *m, real *lse, const struct attention *a, size_t bh)
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
            dropout_mask(m + i * T + first, a->drop, SITE, (a->drop->first_row * H + bh) * T + i, 0,
                         T - first);
    }
}

static void reference_head_forward(real *y, const real *p, const real *m, const struct attention *a,
                                   size_t bh)
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

static void reference_head_backward(real *dqkv, const real *p, const real *m,
                                    const struct attention *a, size_t bh)
{
    const size_t T = a->s.T, C = a->s.C, H = a->s.H, d = C / H,
                 first = bh / H * T * 3 * C + bh % H * d;
    const real *q = a->qkv + first, *k = q + C, *v = k + C,
               *dy = a->dy + bh / H * T * C + bh % H * d;
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

/* Both passes of the reference for the same inputs. The gradient is added to a->dqkv. */
static struct attention reference(const struct attention *a)
{
    const size_t T = a->s.T, N = a->s.B * T;
    struct attention r = attention(&a->s, a->drop);
    r.start = a->start;
    memcpy(r.qkv, a->qkv, N * 3 * a->s.C * sizeof(real));
    memcpy(r.dy, a->dy, N * a->s.C * sizeof(real));
    memcpy(r.dqkv, a->dqkv, N * 3 * a->s.C * sizeof(real));
    real *p = zeros(T * T), *m = zeros(T * T);
    for (size_t bh = 0; bh < a->s.B * a->s.H; bh++) {
        reference_weights(p, m, r.lse, &r, bh);
        reference_head_forward(r.y, p, m, &r, bh);
        reference_head_backward(r.dqkv, p, m, &r, bh);
    }
    free(p);
    free(m);
    return r;
}

static void compare(const struct attention *a, const struct attention *expected, double tolerance,
                    const char *what)
{
    const size_t N = a->s.B * a->s.T, C = a->s.C;
    require_within(error_of(a->y, expected->y, N * C), TOLERANCE, "%s T %zu C %zu H %zu: y", what,
                   a->s.T, C, a->s.H);
    require_within(error_of(a->lse, expected->lse, N * a->s.H), TOLERANCE,
                   "%s T %zu C %zu H %zu: lse", what, a->s.T, C, a->s.H);
    require_within(error_of(a->dqkv, expected->dqkv, N * 3 * C), tolerance,
                   "%s T %zu C %zu H %zu: dqkv", what, a->s.T, C, a->s.H);
}

/* dqkv is random at first, because the backward adds. */
START_TEST(equals_the_reference)
{
    for (size_t k = 0; k < SHAPES; k++)
        for (int dropped = 0; dropped < 2; dropped++) {
            struct attention a = attention(&shapes[k], dropped ? &dropout : NULL);
            fill(a.dqkv, a.s.B * a.s.T * 3 * a.s.C, 0.1, 3);
            struct attention expected = reference(&a);
            forward(&a);
            backward(&a);
            compare(&a, &expected, TOLERANCE, dropped ? "dropout" : "no dropout");
            free_attention(&a);
            free_attention(&expected);
        }
}
END_TEST

START_TEST(documents_equal_the_reference)
{
    for (size_t k = 0; k < SHAPES; k++)
        for (uint64_t seed = 0; seed < 8; seed++) {
            struct attention a = attention(&shapes[k], seed >= 4 ? &dropout : NULL);
            uint32_t *start = draw_start(&shapes[k], seed);
            a.start = start;
            fill(a.dqkv, a.s.B * a.s.T * 3 * a.s.C, 0.1, 3);
            struct attention expected = reference(&a);
            forward(&a);
            backward(&a);
            compare(&a, &expected, TOLERANCE, "documents");
            free_attention(&a);
            free_attention(&expected);
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
                a.qkv[n * 3 * C + c] = 1; /* v = 1, so that y is the sum of the weights */
        forward(&a);
        for (size_t i = 0; i < N * C; i++)
            require_within(fabs((double)a.y[i] - 1), (double)(a.s.T + 4) * ROUNDOFF,
                           "T %zu, element %zu", a.s.T, i);
        free_attention(&a);
    }
}
END_TEST

/* One head of width 4: scores are q . k / 2. The first product is +-200 x 100 / 2, the others
 * are small integers. So every score is exact in both types, and so is its distance from the
 * maximum. */
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

START_TEST(only_differences_of_scores_count)
{
    for (size_t T = 1; T < 200; T += 33) {
        const struct shape s = {1, T, 4, 1};
        struct attention small = attention(&s, NULL), large = attention(&s, NULL);
        integer_scores(&small, 0);
        integer_scores(&large, 1e4);
        forward(&small);
        forward(&large);
        require(same_bits(small.y, large.y, T * 4),
                "T %zu: adding a constant to the scores changes y", T);
        for (size_t i = 0; i < T; i++)
            require_within(fabs((double)(large.lse[i] - small.lse[i]) - (i % 2 ? 1e4 : -1e4)),
                           1e4 * ROUNDOFF, "T %zu: lse %zu", T, i);
        struct attention expected = reference(&large);
        backward(&large);
        compare(&large, &expected, TOLERANCE + 1e4 * ROUNDOFF, "large scores");
        free_attention(&small);
        free_attention(&large);
        free_attention(&expected);
    }
}
END_TEST

START_TEST(extreme_scores_give_finite_results)
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

START_TEST(micro_batches_equal_one_batch)
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
            require(same_before(&a, &first, a.s.T), "forward: other bits with %d threads",
                    thread_counts[t]);
            require(same_bits(a.dqkv, first.dqkv, N * 3 * a.s.C),
                    "backward: other bits with %d threads", thread_counts[t]);
            free_attention(&a);
        }
        free_attention(&first);
        free(start);
    }
}
END_TEST

SUITE_FLOAT_DOUBLE("model/attention", equals_the_reference, documents_equal_the_reference,
                   weights_of_a_row_sum_to_one, only_differences_of_scores_count,
                   extreme_scores_give_finite_results, micro_batches_equal_one_batch,
                   same_bits_at_any_thread_count)
