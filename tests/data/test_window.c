/* test_window.c: which tokens a batch begins with: every window once an epoch, in an order that the
 * seed decides. */
#include "data/window.h"
#include "tests/data_fixture.h"

START_TEST(permutations)
{
    static const uint64_t SIZES[] = {1, 2, 3, 4, 5, 7, 16, 17, 63, 64, 65, 1000, 4096, 4097, 70001};
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++)
        for (uint64_t key = 0; key < 20; key++) {
            const uint64_t n = SIZES[i];
            unsigned char *seen = calloc(n, 1);
            for (uint64_t k = 0; k < n; k++) {
                const uint64_t p = permute(key * 1000003, n, k);
                EXPECT(p < n && !seen[p]);
                seen[p] = 1;
            }
            free(seen);
        }
    /* as large as can be */
    for (uint64_t n = UINT64_MAX; n > UINT64_MAX - 5; n--)
        for (uint64_t k = 0; k < 100; k++)
            EXPECT(permute(7, n, k) < n && permute(7, n, k) != permute(7, n, k + 1));
}
END_TEST

/* Every element comes to every place about equally often: chi-squared, 99 degrees of freedom, mean
 * 99, deviation 14. */
START_TEST(permutations_are_even)
{
    enum { N = 100, KEYS = 20000 };
    static unsigned count[N][N];
    for (uint64_t key = 0; key < KEYS; key++)
        for (uint64_t k = 0; k < N; k++)
            count[k][permute(key, N, k)]++;
    double worst = 0;
    for (size_t k = 0; k < N; k++) {
        double chi2 = 0;
        for (size_t p = 0; p < N; p++)
            chi2 += (count[k][p] - (double)KEYS / N) * (count[k][p] - (double)KEYS / N) /
                    ((double)KEYS / N);
        worst = chi2 > worst ? chi2 : worst;
    }
    ck_assert_msg(worst < 99 + 5 * 14, "%g", worst);
}
END_TEST

START_TEST(shuffled_epochs)
{
    static const uint64_t BLOCKS[] = {1, 2, 7, 16, 64};
    for (size_t b = 0; b < sizeof BLOCKS / sizeof *BLOCKS; b++)
        for (uint64_t tokens = BLOCKS[b] + 1; tokens < 700; tokens += 1 + tokens / 10) {
            const uint64_t T = BLOCKS[b], B = 3;
            const struct windows w = {ORDER_SHUFFLED, 42, tokens, T, NULL, 0, 0};
            const uint64_t W = windows_per_epoch(&w);
            EXPECT(W >= 1 && W * T < tokens);
            for (uint64_t epoch = 0; epoch < 8; epoch++) {
                unsigned char *seen = calloc(tokens, 1);
                uint64_t least = UINT64_MAX;
                for (uint64_t k = epoch * W; k < (epoch + 1) * W; k++) {
                    const uint64_t begin = window_begin(&w, k / B, B, k % B);
                    EXPECT(begin == window_begin(&w, 0, B, k)); /* k is all that counts */
                    struct windows shifted = w;                 /* … however it is composed */
                    shifted.row_shift = k - k / 3 * 5;
                    EXPECT(begin == window_begin(&shifted, k / 3, 5, 0));
                    EXPECT(begin + T + 1 <= tokens);
                    least = begin < least ? begin : least;
                    for (uint64_t i = 0; i < T; i++)
                        EXPECT(!seen[begin + i]++); /* an epoch reads no token twice */
                }
                EXPECT(least < T); /* W T tokens in W windows without a gap, from the phase on */
                for (uint64_t i = 0; i < W * T; i++)
                    EXPECT(seen[least + i]);
                free(seen);
            }
        }
}
END_TEST

START_TEST(epochs_and_seeds_differ)
{
    const struct windows w = {ORDER_SHUFFLED, 1, 100 * 64 + 1, 64, NULL, 0, 0},
                         other = {ORDER_SHUFFLED, 2, 100 * 64 + 1, 64, NULL, 0, 0};
    const uint64_t W = windows_per_epoch(&w);
    unsigned same_epoch = 0, same_seed = 0, phases[64] = {0};
    for (uint64_t k = 0; k < 50 * W; k++) {
        const uint64_t begin = window_begin(&w, k, 1, 0);
        same_epoch += begin / 64 == window_begin(&w, k + W, 1, 0) / 64;
        same_seed += begin / 64 == window_begin(&other, k, 1, 0) / 64;
        phases[begin % 64] = 1;
    }
    unsigned different = 0;
    for (size_t i = 0; i < 64; i++)
        different += phases[i];
    ck_assert_uint_lt(same_epoch, 50 * 3); /* one of W is expected each epoch */
    ck_assert_uint_lt(same_seed, 50 * 3);
    ck_assert_uint_gt(different, 25); /* 50 draws of 64: 35 expected */
}
END_TEST

/* No epoch of a seed is an epoch of another, such as the next; a few pinned positions. */
START_TEST(seeds_do_not_share_epochs)
{
    enum { T = 16, SEEDS = 12, EPOCHS = 12 };
    struct windows w = {ORDER_SHUFFLED, 0, 100 * T, T, NULL, 0, 0};
    const uint64_t W = windows_per_epoch(&w);
    uint64_t first[SEEDS * EPOCHS][4];
    for (uint64_t i = 0; i < SEEDS * EPOCHS; i++) {
        w.seed = i / EPOCHS;
        for (uint64_t k = 0; k < 4; k++)
            first[i][k] = window_begin(&w, i % EPOCHS * W + k, 1, 0);
        for (uint64_t j = 0; j < i; j++)
            EXPECT(memcmp(first[i], first[j], sizeof *first));
    }
    static const uint64_t pinned[] = {442, 26, 266, 1370}; /* seed 1, epoch 1 */
    for (uint64_t k = 0; k < 4; k++)
        ck_assert_uint_eq(first[EPOCHS + 1][k], pinned[k]);
}
END_TEST

START_TEST(steps_cannot_be_too_large)
{
    for (enum order order = ORDER_SEQUENTIAL; order <= ORDER_SHUFFLED; order++) {
        const struct windows w = {order, 3, 1000003, 64, NULL, 0, 0};
        for (uint64_t step = UINT64_MAX; step > UINT64_MAX - 100; step--) {
            const uint64_t begin = window_begin(&w, step, UINT64_MAX, 7);
            EXPECT(begin < w.tokens);
            unsigned __int128 k = (unsigned __int128)step * UINT64_MAX + 7;
            if (order == ORDER_SEQUENTIAL)
                EXPECT(begin == (uint64_t)((k % w.tokens) * (64 % w.tokens) % w.tokens));
        }
    }
    const struct windows large = {ORDER_SEQUENTIAL, 0, UINT64_MAX, UINT32_MAX, NULL, 0, 0};
    EXPECT(window_begin(&large, 1, 1, 0) == UINT32_MAX);
    EXPECT(window_begin(&large, (uint64_t)UINT32_MAX + 2, 1, 0) ==
           0); /* (2^32 + 1) (2^32 - 1) = 2^64 - 1 */
}
END_TEST

SUITE("data/window", permutations, permutations_are_even, shuffled_epochs, epochs_and_seeds_differ,
      seeds_do_not_share_epochs, steps_cannot_be_too_large)
