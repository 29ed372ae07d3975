/* test_set.c: a gradient that is set is the one that is added to zeros, whatever was there
 * before. */
#include "model/attention.h"
#include "model/gelu.h"
#include "model/linear.h"
#include "tests/numbers.h"
#include "tests/test.h"
#include <math.h>

static real *garbage(size_t n)
{
    real *x = zeros(n);
    for (size_t i = 0; i < n; i++)
        x[i] = (real)NAN;
    return x;
}

static void check_same(const char *what, real *set, real *added, size_t n)
{
    const double e = error_of(set, added, n);
    ck_assert_msg(e <= 4 * ROUNDOFF, "%s: off by %g", what, e);
    free(set);
    free(added);
}

START_TEST(linear)
{
    enum { N = 37, I = 29, O = 53 };
    static real dw[I * O], db[O], dy[N * O], x[N * I], w[I * O];
    fill(dy, N * O, 1, 1), fill(x, N * I, 1, 2), fill(w, I * O, 1, 3);
    real *set = garbage(N * I), *added = zeros(N * I);
    linear_backward_set(set, dw, db, dy, x, w, N, I, O);
    linear_backward(added, dw, db, dy, x, w, N, I, O);
    check_same("linear", set, added, N * I);
}
END_TEST

START_TEST(gelu)
{
    enum { N = 10007 };
    static real dy[N], x[N];
    fill(dy, N, 1, 1), fill(x, N, 1, 2);
    for (int kind = GELU_TANH; kind <= GELU_ERF; kind++) {
        real *set = garbage(N), *added = zeros(N);
        gelu_backward_set(set, dy, x, N, kind);
        gelu_backward(added, dy, x, N, kind);
        check_same("gelu", set, added, N);
    }
}
END_TEST

/* Several strips of queries, several blocks of keys, and documents that end within both. */
START_TEST(attention)
{
    enum { B = 2, T = 333, C = 48, H = 2, N = B * T };
    static real dy[N * C], y[N * C], lse[N * H], qkv[N * 3 * C];
    static uint32_t start[N];
    fill(dy, N * C, 1, 1), fill(qkv, N * 3 * C, 1, 2);
    for (size_t i = 0; i < N; i++)
        start[i] = i % T < 70 ? 0 : i % T < 75 ? 70 : 75;
    for (int documents = 0; documents < 2; documents++) {
        const uint32_t *s = documents ? start : NULL;
        attention_forward(y, lse, qkv, s, B, T, C, H, NULL, 0);
        real *set = garbage(N * 3 * C), *added = zeros(N * 3 * C);
        attention_backward_set(set, dy, qkv, y, lse, s, B, T, C, H, NULL, 0);
        attention_backward(added, dy, qkv, y, lse, s, B, T, C, H, NULL, 0);
        check_same("attention", set, added, N * 3 * C);
    }
}
END_TEST

SUITE_ALL_TYPES("model/set", linear, gelu, attention)
