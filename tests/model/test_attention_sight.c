/* test_attention_sight.c: what a token must not see, it does not see: later ones, and other documents.
 *
 *   property                                                    bar
 *   causality, a NaN or an infinity in the last key or value    the same bits before it
 *   gradients of tokens after the last dy                       zero, exactly
 *   documents: each as in a row of its own; a NaN in another    the same bits
 */
#include "tests/attention_fixture.h"

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
            require(!same_bits(a.y + t * C, b.y + t * C, C), "T %zu: token %zu changed nothing", T,
                    t);
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
            require(same_before(&a, &b, T - 1),
                    "T %zu: %g in the last token's key or value changed others", T, poisons[what]);
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
                require(i / (3 * C) % T < t || a.dqkv[i] == 0,
                        "T %zu: dy before %zu reached element %zu", T, t, i);
                earlier += i / (3 * C) % T < t ? fabs((double)a.dqkv[i]) : 0;
            }
            require(earlier > 0, "T %zu: no gradient at all", T);
            free_attention(&a);
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
    require(same_before(&a, &b, 450) && same_bits(a.dqkv, b.dqkv, 450 * 72),
            "one document is not one row");
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

SUITE_FLOAT_DOUBLE("attention/sight", the_past_does_not_see_the_future,
                   nan_and_infinity_stay_in_the_last_token, no_gradient_for_later_tokens,
                   documents_are_sequences_of_their_own, nan_stays_in_its_document)
