/* test_attention_mask.c: a token does not depend on later tokens or on other documents.
 *
 *   property                                              tolerance
 *   causality; a NaN or an infinity in the last key or    the same bits for earlier tokens
 *   value
 *   gradients of tokens after the last nonzero dy         exactly zero
 *   documents: as separate rows; a NaN in another one     the same bits
 */
#include "tests/attention_fixture.h"

START_TEST(outputs_do_not_depend_on_later_tokens)
{
    for (size_t k = 0; k < SHAPES; k++)
        for (size_t t = 0; t < shapes[k].T; t = t < 17 ? t + 1 : t + 23) {
            struct attention a = attention(&shapes[k], NULL), b = attention(&shapes[k], NULL);
            const size_t T = a.s.T, C = a.s.C;
            for (size_t s = 0; s < a.s.B; s++)
                fill(b.qkv + (s * T + t) * 3 * C, 3 * C, 2, 99);
            forward(&a);
            forward(&b);
            require(same_before(&a, &b, t), "T %zu: token %zu changed earlier ones", T, t);
            require(!same_bits(a.y + t * C, b.y + t * C, C), "T %zu: token %zu changed no output",
                    T, t);
            free_attention(&a);
            free_attention(&b);
        }
}
END_TEST

START_TEST(nan_and_infinity_do_not_reach_earlier_tokens)
{
    const double special[] = {NAN, INFINITY, -INFINITY};
    for (size_t k = 0; k < SHAPES; k++)
        for (int what = 0; what < 3; what++) {
            struct attention a = attention(&shapes[k], NULL), b = attention(&shapes[k], NULL);
            const size_t T = a.s.T, C = a.s.C;
            for (size_t s = 0; s < a.s.B; s++)
                for (size_t c = C; c < 3 * C; c++)
                    b.qkv[(s * T + T - 1) * 3 * C + c] = (real)special[what];
            forward(&a);
            forward(&b);
            require(same_before(&a, &b, T - 1),
                    "T %zu: %g in the last token's key or value changed earlier tokens", T,
                    special[what]);
            require(!isfinite(b.y[(T - 1) * C]), "T %zu: %g has no effect on the last token", T,
                    special[what]);
            free_attention(&a);
            free_attention(&b);
        }
}
END_TEST

START_TEST(later_tokens_get_no_gradient)
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
                require(i / (3 * C) % T < t || a.dqkv[i] == 0,
                        "T %zu: dy of tokens before %zu changed element %zu", T, t, i);
                earlier += i / (3 * C) % T < t ? fabs((double)a.dqkv[i]) : 0;
            }
            require(earlier > 0, "T %zu: no gradient at all", T);
            free_attention(&a);
        }
}
END_TEST

/* One document per row gives the same bits as start = NULL, and each of several documents the same
 * bits as in a separate row. */
START_TEST(documents_equal_separate_rows)
{
    const struct shape whole = {1, 450, 24, 3};
    uint32_t *zero = calloc(450, sizeof *zero);
    struct attention a = attention(&whole, &dropout), b = attention(&whole, &dropout);
    b.start = zero;
    forward(&a), backward(&a);
    forward(&b), backward(&b);
    require(same_before(&a, &b, 450) && same_bits(a.dqkv, b.dqkv, 450 * 72),
            "one document per row changes the result");
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
            require(same_bits(own.y, all.y + first * 24, (end - first) * 24), "y of %zu to %zu",
                    first, end);
            require(same_bits(own.dqkv, all.dqkv + first * 72, (end - first) * 72),
                    "dqkv of %zu to %zu", first, end);
            free_attention(&own);
        }
        free_attention(&all);
        free(start);
    }
}
END_TEST

/* In the forward and in the backward. */
START_TEST(nan_does_not_leave_its_document)
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
            require(inside ? isnan(b.y[n * C]) : same_bits(a.y + n * C, b.y + n * C, C),
                    "T %zu: y of %zu", T, n);
            require(inside ? isnan(b.dqkv[n * 3 * C])
                           : same_bits(a.dqkv + n * 3 * C, b.dqkv + n * 3 * C, 3 * C),
                    "T %zu: dqkv of %zu", T, n);
        }
        free_attention(&a);
        free_attention(&b);
        free(start);
    }
}
END_TEST

SUITE_FLOAT_DOUBLE("model/attention_mask", outputs_do_not_depend_on_later_tokens,
                   nan_and_infinity_do_not_reach_earlier_tokens, later_tokens_get_no_gradient,
                   documents_equal_separate_rows, nan_does_not_leave_its_document)
