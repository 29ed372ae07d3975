/* test_dropout.c: Philox gives its authors' published numbers. Dropout masks have the right
 * mean, are independent of each other in every dimension, and depend on their address alone.
 * Dropout and the residual connection equal their formulas. Built for float and for double.
 *
 *   property                                      tolerance
 *   published numbers of Philox                   equal
 *   mean of a mask; chi-square of pairs of masks  5 standard deviations; the seed is fixed, so the
 *                                                 result is always the same
 *   a mask drawn in pieces, in several            the same bits
 *   micro-batches, in forward and backward, or
 *   with other numbers of threads
 *   residual and dropout against their formulas   2 roundings of each term
 */
#include "model/dropout.h"
#include "model/residual.h"
#include "tests/numbers.h"

START_TEST(philox_gives_published_numbers)
{
    static const struct {
        uint32_t counter[4], key[2], expected[4];
    } vectors[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
    for (int i = 0; i < 3; i++) {
        uint32_t c[4];
        memcpy(c, vectors[i].counter, sizeof c);
        philox4x32(c, vectors[i].key[0], vectors[i].key[1]);
        ck_assert_mem_eq(c, vectors[i].expected, sizeof c);
    }
}
END_TEST

START_TEST(mask_has_the_right_mean_and_values)
{
    enum { ROWS = 64, N = 1000 };
    const double rates[] = {0, 0.05, 0.1, 0.2, 0.5, 0.9};
    for (int k = 0; k < 6; k++) {
        const struct dropout d = {.p = rates[k], .seed = 1234567890123, .step = 17};
        real mask[N];
        size_t dropped = 0;
        for (size_t row = 0; row < ROWS; row++) {
            dropout_mask(mask, &d, 6, row, 0, N);
            for (size_t i = 0; i < N; i++) {
                require(mask[i] == 0 || mask[i] == (real)(1 / (1 - rates[k])),
                        "p %g, element %zu is %g", rates[k], i, (double)mask[i]);
                dropped += mask[i] == 0;
            }
        }
        const double n = ROWS * N, deviation = sqrt(n * rates[k] * (1 - rates[k]));
        require_within(fabs((double)dropped - n * rates[k]), 5 * deviation, "p %g: zeros",
                       rates[k]);
    }
}
END_TEST

/* If two masks of length n with probability 1/2 are independent, the four combinations are
 * equally frequent: chi-square with three degrees of freedom, mean 3 and variance 6. Identical
 * masks give n. */
static void require_independent(const real *a, const real *b, size_t n, const char *what)
{
    double count[4] = {0}, chi = 0;
    for (size_t i = 0; i < n; i++)
        count[2 * (a[i] != 0) + (b[i] != 0)]++;
    for (int c = 0; c < 4; c++)
        chi += (count[c] - (double)n / 4) * (count[c] - (double)n / 4) / ((double)n / 4);
    require_within(chi, 3 + 5 * sqrt(6), "%s", what);
}

START_TEST(masks_of_different_addresses_are_independent)
{
    enum { N = 4096 };
    const struct dropout d = {.p = 0.5, .seed = 42, .step = 9};
    real a[N], b[N];
    dropout_mask(a, &d, 6, 3, 0, N);
    for (size_t lag = 1; lag <= 8; lag++)
        require_independent(a, a + lag, N - 8, "neighbouring columns");
    struct dropout other = d;
    dropout_mask(b, &d, 6, 4, 0, N);
    require_independent(a, b, N, "rows");
    dropout_mask(b, &d, 6, 3 + (1ull << 32), 0, N);
    require_independent(a, b, N, "rows 2^32 apart");
    dropout_mask(b, &d, 6, 3, N, N);
    require_independent(a, b, N, "distant columns");
    for (uint32_t site = 0; site < 4 * 12; site++) {
        dropout_mask(b, &d, site, 3, 0, N);
        if (site != 6)
            require_independent(a, b, N, "sites");
    }
    other.step = 10;
    dropout_mask(b, &other, 6, 3, 0, N);
    require_independent(a, b, N, "steps");
    other = d;
    other.seed = 43;
    dropout_mask(b, &other, 6, 3, 0, N);
    require_independent(a, b, N, "seeds");
    other.seed = 42 + (1ull << 32);
    dropout_mask(b, &other, 6, 3, 0, N);
    require_independent(a, b, N, "seeds with different high words");
}
END_TEST

START_TEST(masks_can_be_drawn_in_pieces)
{
    enum { N = 1027 };
    const struct dropout d = {.p = 0.3, .seed = 5, .step = 1};
    real whole[N], part[N];
    dropout_mask(whole, &d, 2, 11, 0, N);
    for (size_t width = 4; width < N; width = width < 40 ? width + 4 : width + 52) {
        for (size_t i = 0; i < N; i += width)
            dropout_mask(part + i, &d, 2, 11, i, N - i < width ? N - i : width);
        require(same_bits(part, whole, N), "pieces of %zu columns give another mask", width);
    }
    for (size_t n = 1; n < 40; n++) {
        dropout_mask(part, &d, 2, 11, 8, n);
        require(same_bits(part, whole + 8, n), "%zu columns from 8 on give another mask", n);
    }
}
END_TEST

enum { ROWS = 12, LENGTH = 6, WIDTH = 300 }; /* two sequences; more columns than one piece has */
static const struct dropout drop = {.p = 0.25, .seed = 99, .step = 4, .first_row = 3};

START_TEST(forward_and_backward_use_the_same_mask)
{
    const size_t n = (size_t)ROWS * WIDTH;
    real *x = random_array(n, 1, 1), *y = zeros(n), *dy = random_array(n, 1, 2),
         *dx = random_array(n, 1, 3), *start = copy_of(dx, n);
    real mask[WIDTH];
    dropout_forward(y, x, ROWS, LENGTH, WIDTH, &drop, 7);
    dropout_backward(dx, dy, ROWS, LENGTH, WIDTH, &drop, 7);
    for (size_t i = 0; i < n; i++) {
        if (i % WIDTH == 0)
            dropout_mask(mask, &drop, 7, drop.first_row * LENGTH + i / WIDTH, 0, WIDTH);
        require(y[i] == x[i] * mask[i % WIDTH], "y %zu", i);
        require_within(fabs((double)dx[i] - ((double)start[i] + (double)(dy[i] * mask[i % WIDTH]))),
                       4 * ROUNDOFF, "dx %zu", i);
    }
    dropout_forward(x, x, ROWS, LENGTH, WIDTH, &drop, 7);
    require(same_bits(x, y, n), "in place");
    free(x);
    free(y);
    free(dy);
    free(dx);
    free(start);
}
END_TEST

START_TEST(residual_equals_its_formula)
{
    const size_t n = (size_t)ROWS * WIDTH;
    for (int dropped = 0; dropped < 2; dropped++)
        for (int keep_dx = 0; keep_dx < 2; keep_dx++) {
            const struct dropout *d = dropped ? &drop : NULL;
            real *x = random_array(n, 1, 1), *branch = random_array(n, 1, 2), *y = zeros(n),
                 *dy = random_array(n, 1, 3);
            real *dx = random_array(n, 1, 4), *db = random_array(n, 1, 5), *dx0 = copy_of(dx, n),
                 *db0 = copy_of(db, n), mask[WIDTH];
            residual_forward(y, x, branch, ROWS, LENGTH, WIDTH, d, 2);
            residual_backward(keep_dx ? dx : NULL, db, dy, ROWS, LENGTH, WIDTH, d, 2);
            for (size_t i = 0; i < n; i++) {
                if (dropped && i % WIDTH == 0)
                    dropout_mask(mask, &drop, 2, drop.first_row * LENGTH + i / WIDTH, 0, WIDTH);
                const double m = dropped ? (double)mask[i % WIDTH] : 1;
                require_within(fabs((double)y[i] - (double)x[i] - (double)branch[i] * m),
                               6 * ROUNDOFF, "y %zu", i);
                require_within(fabs((double)dx[i] - (double)dx0[i] - keep_dx * (double)dy[i]),
                               4 * ROUNDOFF, "dx %zu", i);
                require_within(fabs((double)db[i] - (double)db0[i] - (double)dy[i] * m),
                               6 * ROUNDOFF, "dbranch %zu", i);
            }
            free(x);
            free(branch);
            free(y);
            free(dy);
            free(dx);
            free(db);
            free(dx0);
            free(db0);
        }
}
END_TEST

START_TEST(micro_batches_equal_one_batch)
{
    const size_t half = (size_t)ROWS / 2 * WIDTH;
    real *x = random_array(2 * half, 1, 1), *y = zeros(2 * half), *part = zeros(2 * half);
    struct dropout second = drop;
    second.first_row += ROWS / 2 / LENGTH;
    dropout_forward(y, x, ROWS, LENGTH, WIDTH, &drop, 3);
    dropout_forward(part, x, ROWS / 2, LENGTH, WIDTH, &drop, 3);
    dropout_forward(part + half, x + half, ROWS / 2, LENGTH, WIDTH, &second, 3);
    require(same_bits(y, part, 2 * half), "two micro-batches drop other elements than one batch");
    residual_forward(y, x, x, ROWS, LENGTH, WIDTH, &drop, 3);
    residual_forward(part, x, x, ROWS / 2, LENGTH, WIDTH, &drop, 3);
    residual_forward(part + half, x + half, x + half, ROWS / 2, LENGTH, WIDTH, &second, 3);
    require(same_bits(y, part, 2 * half),
            "residual: two micro-batches drop other elements than one batch");
    free(x);
    free(y);
    free(part);
}
END_TEST

START_TEST(same_bits_at_any_thread_count)
{
    const size_t n = (size_t)ROWS * WIDTH;
    real *x = random_array(n, 1, 1), *first = zeros(n), *y = zeros(n);
    for (int t = 0; t < THREAD_COUNTS; t++) {
        omp_set_num_threads(thread_counts[t]);
        residual_forward(t ? y : first, x, x, ROWS, LENGTH, WIDTH, &drop, 3);
        dropout_backward(t ? y : first, x, ROWS, LENGTH, WIDTH, &drop, 3);
        require(t == 0 || same_bits(y, first, n), "other bits with %d threads", thread_counts[t]);
    }
    free(x);
    free(first);
    free(y);
}
END_TEST

SUITE_FLOAT_DOUBLE("model/dropout", philox_gives_published_numbers,
                   mask_has_the_right_mean_and_values, masks_of_different_addresses_are_independent,
                   masks_can_be_drawn_in_pieces, forward_and_backward_use_the_same_mask,
                   residual_equals_its_formula, micro_batches_equal_one_batch,
                   same_bits_at_any_thread_count)
