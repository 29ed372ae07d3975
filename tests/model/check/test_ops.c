/* test_ops.c: layernorm, softmax, linear and embedding, compared with straightforward versions in
 * double, and their invariants. Built for float and for double. (gelu, dropout, attention and loss
 * have separate programs.)
 *
 *   operation    property                                 tolerance, in roundings
 *   layernorm    y, dx, dgain, dbias against double       32, norm-wise: sums in double, then some
 *                                                         ten operations on numbers of size 1
 *                mean of xhat 0, variance 1 - eps rstd^2  16
 *                x + c gives the same y                   c rstd + 32: the mean is saved as `real`
 *                a row of equal numbers gives the bias    exact
 *   softmax      p against double                         (C + 24 + |x - max|) p: exp is accurate
 *                                                         to 4 ulp and turns the rounding of its
 *                                                         argument into a relative error
 *                sum of a row 1; of a row of dx 0         C + 4
 *                x + c, exact, gives the same bits        exact
 *                huge x                                   finite
 *   linear       y, dx, dw, dbias against double          terms of a sum + 4, norm-wise
 *   embedding    rows copied, repeated tokens added       exact, with small integers
 */
#include "model/embedding.h"
#include "model/layernorm.h"
#include "model/linear.h"
#include "model/softmax.h"
#include "tests/numbers.h"
#include <float.h>

/* --- layernorm --- */

static const double eps = 1e-5;

struct layernorm {
    size_t N, C;
    real *x, *gain, *bias, *y, *mean, *rstd, *dy, *dx, *dgain, *dbias;
};

static struct layernorm layernorm(size_t N, size_t C)
{
    return (struct layernorm){N,
                              C,
                              random_array(N * C, 2, 1),
                              random_array(C, 1, 2),
                              random_array(C, 1, 3),
                              zeros(N * C),
                              zeros(N),
                              zeros(N),
                              random_array(N * C, 1, 4),
                              random_array(N * C, 1, 5),
                              random_array(C, 1, 6),
                              random_array(C, 1, 7)};
}

static void free_layernorm(struct layernorm *l)
{
    real *all[] = {l->x,    l->gain, l->bias, l->y,     l->mean,
                   l->rstd, l->dy,   l->dx,   l->dgain, l->dbias};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static void statistics(const real *x, size_t C, double *mean, double *rstd)
{
    double sum = 0, var = 0;
    for (size_t i = 0; i < C; i++)
        sum += (double)x[i];
    for (size_t i = 0; i < C; i++)
        var += ((double)x[i] - sum / (double)C) * ((double)x[i] - sum / (double)C);
    *mean = sum / (double)C;
    *rstd = 1 / sqrt(var / (double)C + eps);
}

/* Both passes by the definition, with the full matrix d xhat_j / d x_i. */
static struct layernorm reference_layernorm(const struct layernorm *l, int bias)
{
    const size_t N = l->N, C = l->C;
    struct layernorm r = layernorm(N, C);
    double *dgain = calloc(C, sizeof *dgain), *dbias = calloc(C, sizeof *dbias);
    for (size_t n = 0; n < N; n++) {
        double m, s;
        const real *x = l->x + n * C, *dy = l->dy + n * C;
        statistics(x, C, &m, &s);
        for (size_t i = 0; i < C; i++) {
            const double xhat_i = ((double)x[i] - m) * s;
            r.y[n * C + i] = (real)((double)l->gain[i] * xhat_i + (bias ? (double)l->bias[i] : 0));
            dgain[i] += (double)dy[i] * xhat_i;
            dbias[i] += (double)dy[i];
            double sum = 0;
            for (size_t j = 0; j < C; j++)
                sum += (double)dy[j] * (double)l->gain[j] * s *
                       ((i == j) - (1 + xhat_i * ((double)x[j] - m) * s) / (double)C);
            r.dx[n * C + i] = (real)(l->dx[n * C + i] + sum);
        }
    }
    for (size_t i = 0; i < C; i++) {
        r.dgain[i] = (real)(l->dgain[i] + dgain[i]);
        r.dbias[i] = (real)(l->dbias[i] + (bias ? dbias[i] : 0));
    }
    free(dgain);
    free(dbias);
    return r;
}

START_TEST(layernorm_equals_its_definition)
{
    static const size_t sizes[][2] = {{1, 1},  {1, 2},   {7, 3},   {3, 64},
                                      {5, 65}, {2, 768}, {130, 67}};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
        for (int bias = 0; bias < 2; bias++) {
            const size_t N = sizes[k][0], C = sizes[k][1];
            struct layernorm l = layernorm(N, C), e = reference_layernorm(&l, bias);
            layernorm_forward(l.y, l.mean, l.rstd, l.x, l.gain, bias ? l.bias : NULL, N, C);
            layernorm_backward(l.dx, l.dgain, bias ? l.dbias : NULL, l.dy, l.x, l.mean, l.rstd,
                               l.gain, N, C);
            require_within(error_of(l.y, e.y, N * C), 32 * ROUNDOFF, "N %zu, C %zu: y", N, C);
            require_within(error_of(l.dx, e.dx, N * C), 32 * ROUNDOFF, "N %zu, C %zu: dx", N, C);
            require_within(error_of(l.dgain, e.dgain, C), 32 * ROUNDOFF, "N %zu, C %zu: dgain", N,
                           C);
            require_within(error_of(l.dbias, e.dbias, C), 32 * ROUNDOFF, "N %zu, C %zu: dbias", N,
                           C);
            memcpy(e.x, l.x, N * C * sizeof(real));
            layernorm_forward(e.x, e.mean, e.rstd, e.x, l.gain, bias ? l.bias : NULL, N, C);
            require(same_bits(e.x, l.y, N * C), "in place");
            free_layernorm(&l);
            free_layernorm(&e);
        }
}
END_TEST

START_TEST(layernorm_normalises)
{
    const size_t N = 9, C = 100;
    struct layernorm l = layernorm(N, C);
    for (size_t i = 0; i < C; i++)
        l.gain[i] = 1;
    layernorm_forward(l.y, l.mean, l.rstd, l.x, l.gain, NULL, N, C);
    for (size_t n = 0; n < N; n++) {
        double sum = 0, squares = 0, mean, rstd;
        statistics(l.x + n * C, C, &mean, &rstd);
        for (size_t i = 0; i < C; i++) {
            sum += (double)l.y[n * C + i];
            squares += (double)l.y[n * C + i] * (double)l.y[n * C + i];
        }
        require_within(fabs(sum) / (double)C, 16 * ROUNDOFF, "row %zu: mean", n);
        require_within(fabs(squares / (double)C - (1 - eps * rstd * rstd)), 16 * ROUNDOFF,
                       "row %zu: variance", n);
    }
    free_layernorm(&l);
}
END_TEST

START_TEST(layernorm_ignores_a_shift)
{
    const size_t N = 6, C = 50;
    struct layernorm l = layernorm(N, C), shifted = layernorm(N, C);
    for (double c = 1; c < 1e4; c *= 8) {
        for (size_t i = 0; i < N * C; i++) {
            l.x[i] = (real)(floor(64 * uniform(1, i)) / 64);
            shifted.x[i] = l.x[i] + (real)c; /* exact: six binary digits after the point */
        }
        layernorm_forward(l.y, l.mean, l.rstd, l.x, l.gain, l.bias, N, C);
        layernorm_forward(shifted.y, shifted.mean, shifted.rstd, shifted.x, l.gain, l.bias, N, C);
        for (size_t i = 0; i < N * C; i++)
            require_within(fabs((double)(l.y[i] - shifted.y[i])),
                           (c * (double)l.rstd[i / C] + 32) * ROUNDOFF, "c %g, y %zu", c, i);
    }
    for (size_t i = 0; i < N * C; i++)
        l.x[i] = (real)(1000 * (i / C));
    layernorm_forward(l.y, l.mean, l.rstd, l.x, l.gain, l.bias, N, C);
    layernorm_backward(l.dx, l.dgain, l.dbias, l.dy, l.x, l.mean, l.rstd, l.gain, N, C);
    for (size_t i = 0; i < N * C; i++)
        require(l.y[i] == l.bias[i % C] && isfinite(l.dx[i]), "row of equal numbers: element %zu",
                i);
    free_layernorm(&l);
    free_layernorm(&shifted);
}
END_TEST

/* --- softmax --- */

START_TEST(softmax_equals_its_definition)
{
    static const size_t sizes[][2] = {{1, 1}, {3, 2}, {2, 7}, {5, 16}, {4, 257}};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        const size_t N = sizes[k][0], C = sizes[k][1];
        real *x = random_array(N * C, 30, 1), *p = zeros(N * C), *dp = random_array(N * C, 1, 2),
             *start = random_array(N * C, 1, 3);
        real *dx = copy_of(start, N * C);
        softmax_forward(p, x, N, C);
        softmax_backward(dx, dp, p, N, C);
        for (size_t n = 0; n < N; n++) {
            double top = -INFINITY, sum = 0, total = 0, dot = 0, change = 0;
            for (size_t i = n * C; i < (n + 1) * C; i++)
                top = fmax(top, (double)x[i]);
            for (size_t i = n * C; i < (n + 1) * C; i++)
                sum += exp((double)x[i] - top);
            for (size_t i = n * C; i < (n + 1) * C; i++) {
                const double expected = exp((double)x[i] - top) / sum;
                require_within(fabs((double)p[i] - expected),
                               ((double)C + 24 + top - (double)x[i]) * ROUNDOFF * expected, "p %zu",
                               i);
                total += (double)p[i];
                dot += (double)dp[i] * (double)p[i];
            }
            require_within(fabs(total - 1), (double)(C + 4) * ROUNDOFF, "C %zu: sum of row %zu", C,
                           n);
            for (size_t i = n * C; i < (n + 1) * C; i++) {
                const double expected = (double)start[i] + (double)p[i] * ((double)dp[i] - dot);
                require_within(fabs((double)dx[i] - expected), 8 * ROUNDOFF, "C %zu: dx %zu", C, i);
                change += (double)dx[i] - (double)start[i];
            }
            require_within(fabs(change), (double)(C + 4) * ROUNDOFF, "C %zu: sum of dx of row %zu",
                           C, n);
        }
        softmax_forward(x, x, N, C);
        require(same_bits(x, p, N * C), "in place");
        free(x);
        free(p);
        free(dp);
        free(start);
        free(dx);
    }
}
END_TEST

START_TEST(softmax_ignores_a_shift)
{
    enum { N = 4, C = 33 };
    const double largest = sizeof(real) == sizeof(float) ? (double)FLT_MAX : DBL_MAX;
    real x[N * C], p[N * C], q[N * C];
    for (double c = 1; c < 1e5; c *= -4) {
        for (size_t i = 0; i < N * C; i++)
            x[i] = (real)(floor(64 * uniform(1, i)) / 8);
        softmax_forward(p, x, N, C);
        for (size_t i = 0; i < N * C; i++)
            x[i] += (real)c;
        softmax_forward(q, x, N, C);
        require(same_bits(p, q, N * C), "adding %g to all x changes the softmax", c);
    }
    for (size_t i = 0; i < N * C; i++)
        x[i] = (real)(i % 3 == 0 ? largest : i % 3 == 1 ? -largest : 0);
    softmax_forward(p, x, N, C);
    for (size_t n = 0; n < N; n++) {
        double sum = 0;
        for (size_t i = n * C; i < (n + 1) * C; i++)
            sum += (double)p[i];
        require_within(fabs(sum - 1), (C + 4) * ROUNDOFF, "row %zu of huge numbers", n);
    }
}
END_TEST

/* --- linear --- */

/* out (P,Q) += a (P,r) b (r,Q), with strides of rows and columns. */
static void reference_product(real *out, const real *a, size_t a_row, size_t a_k, const real *b,
                              size_t b_k, size_t b_column, size_t P, size_t Q, size_t r)
{
    for (size_t i = 0; i < P; i++)
        for (size_t j = 0; j < Q; j++) {
            double sum = (double)out[i * Q + j];
            for (size_t k = 0; k < r; k++)
                sum += (double)a[i * a_row + k * a_k] * (double)b[k * b_k + j * b_column];
            out[i * Q + j] = (real)sum;
        }
}

static void check_linear(size_t N, size_t I, size_t O, int with_bias)
{
    real *x = random_array(N * I, 1, 1), *w = random_array(I * O, 1, 2),
         *bias = random_array(O, 1, 3), *y = random_array(N * O, 1, 4);
    real *dy = random_array(N * O, 1, 5), *dx = random_array(N * I, 1, 6),
         *dw = random_array(I * O, 1, 7), *db = random_array(O, 1, 8);
    real *ey = zeros(N * O), *edx = copy_of(dx, N * I), *edw = copy_of(dw, I * O),
         *edb = copy_of(db, O), *ones = zeros(N);
    for (size_t n = 0; n < N; n++) {
        ones[n] = 1;
        memcpy(ey + n * O, bias, (with_bias ? O : 0) * sizeof(real));
    }
    reference_product(ey, x, I, 1, w, O, 1, N, O, I);
    reference_product(edx, dy, O, 1, w, 1, O, N, I, O);
    reference_product(edw, x, 1, I, dy, O, 1, I, O, N);
    if (with_bias)
        reference_product(edb, ones, 0, 1, dy, O, 1, 1, O, N);
    linear_forward(y, x, w, with_bias ? bias : NULL, N, I, O);
    linear_backward(dx, dw, with_bias ? db : NULL, dy, x, w, N, I, O);
    require_within(error_of(y, ey, N * O), (double)(I + 4) * ROUNDOFF, "N %zu, I %zu, O %zu: y", N,
                   I, O);
    require_within(error_of(dx, edx, N * I), (double)(O + 4) * ROUNDOFF, "N %zu, I %zu, O %zu: dx",
                   N, I, O);
    require_within(error_of(dw, edw, I * O), (double)(N + 4) * ROUNDOFF, "N %zu, I %zu, O %zu: dw",
                   N, I, O);
    require_within(error_of(db, edb, O), (double)(N + 4) * ROUNDOFF, "N %zu, I %zu, O %zu: dbias",
                   N, I, O);
    real *all[] = {x, w, bias, y, dy, dx, dw, db, ey, edx, edw, edb, ones};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

START_TEST(linear_equals_its_definition)
{
    for (int bias = 0; bias < 2; bias++) {
        check_linear(1, 1, 1, bias);
        check_linear(1, 33, 130, bias);
        check_linear(5, 7, 3, bias);
        check_linear(70, 20, 65, bias);
        check_linear(3, 200, 64, bias);
    }
}
END_TEST

/* --- embedding --- */

START_TEST(embedding_copies_and_adds)
{
    enum { B = 3, T = 5, C = 70, V = 4, FIRST = 2 };
    static const uint32_t ids[B * T] = {0, 2, 2, 2, 3, 3, 0, 2,
                                        0, 0, 2, 2, 3, 3, 0}; /* 1 never occurs */
    real *wte = random_array(V * C, 1, 1), *wpe = random_array((FIRST + T) * C, 1, 2),
         *x = zeros(B * T * C), *dx = zeros(B * T * C);
    real *dwte = zeros(V * C), *dwpe = zeros(T * C), *edwte = zeros(V * C), *edwpe = zeros(T * C);
    embedding_forward(x, ids, wte, wpe, FIRST, B, T, C);
    for (size_t i = 0; i < V * C; i++)
        dwte[i] = edwte[i] = (real)floor(9 * uniform(3, i));
    for (size_t i = 0; i < B * T * C; i++) {
        const size_t n = i / C, c = i % C;
        require(x[i] == wte[ids[n] * C + c] + wpe[(FIRST + n % T) * C + c], "x %zu", i);
        dx[i] = (real)floor(9 * uniform(4, i));
        edwte[ids[n] * C + c] += dx[i];
        edwpe[n % T * C + c] += dx[i];
    }
    embedding_backward(dwte, dwpe, dx, ids, B, T, C);
    for (size_t i = 0; i < V * C; i++)
        require(dwte[i] == edwte[i], "dwte %zu", i);
    for (size_t i = 0; i < T * C; i++)
        require(dwpe[i] == edwpe[i], "dwpe %zu", i);
    real *all[] = {wte, wpe, x, dx, dwte, dwpe, edwte, edwpe};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}
END_TEST

SUITE_FLOAT_DOUBLE("model/check/ops", layernorm_equals_its_definition, layernorm_normalises,
                   layernorm_ignores_a_shift, softmax_equals_its_definition,
                   softmax_ignores_a_shift, linear_equals_its_definition, embedding_copies_and_adds)
