/* test_schedule.c: every schedule compared with its formula, and extreme settings. */
#include "optim/schedule.h"
#include "tests/test.h"

#include <math.h>

static void ck_near(double got, double expected)
{
    if (!(fabs(got - expected) <= 1e-15 + 1e-13 * fabs(expected)))
        ck_abort_msg("%.17g, expected %.17g", got, expected);
}

START_TEST(warmup_is_that_of_nanogpt)
{
    for (int kind = SCHEDULE_CONSTANT; kind <= SCHEDULE_WSD; kind++) {
        const struct schedule c = {kind, 1e-3, 1e-4, 100, 0, 2000};
        for (int s = 0; s < 100; s++)
            ck_near(schedule_lr(&c, s), 1e-3 * (s + 1) / 101.0);
        ck_near(schedule_lr(&c, 100), 1e-3);
    }
}
END_TEST

START_TEST(constant_rate)
{
    const struct schedule c = {SCHEDULE_CONSTANT, 1e-3, 1e-4, 0, 0, 10};
    for (int s = 0; s < 20; s++)
        ck_near(schedule_lr(&c, s), 1e-3);
}
END_TEST

START_TEST(cosine_is_that_of_nanogpt)
{
    const struct schedule c = {SCHEDULE_COSINE, 1e-3, 1e-4, 100, 1500, 2000};
    for (int s = 100; s <= 1500; s++)
        ck_near(schedule_lr(&c, s),
                1e-4 + 0.5 * (1.0 + cos(M_PI * (s - 100) / (1500.0 - 100))) * (1e-3 - 1e-4));
    for (int s = 1500; s < 3000; s++)
        ck_near(schedule_lr(&c, s), 1e-4);
}
END_TEST

START_TEST(linear_decay)
{
    const struct schedule c = {SCHEDULE_LINEAR, 1e-3, 0, 10, 110, 200};
    for (int s = 10; s <= 110; s++)
        ck_near(schedule_lr(&c, s), 1e-3 * (110 - s) / 100.0);
    ck_near(schedule_lr(&c, 111), 0);
    ck_near(schedule_lr(&c, UINT64_MAX), 0);
}
END_TEST

START_TEST(decay_steps_0_means_all_steps)
{
    for (int kind = SCHEDULE_LINEAR; kind <= SCHEDULE_COSINE; kind++) {
        const struct schedule zero = {kind, 1e-3, 1e-4, 7, 0, 50},
                              written = {kind, 1e-3, 1e-4, 7, 50, 50};
        for (int s = 0; s < 60; s++)
            ck_assert_double_eq(schedule_lr(&zero, s), schedule_lr(&written, s));
    }
}
END_TEST

START_TEST(wsd_is_constant_then_decays_by_the_root)
{
    const struct schedule c = {SCHEDULE_WSD, 1e-3, 1e-4, 10, 0, 100},
                          own = {SCHEDULE_WSD, 1e-3, 1e-4, 10, 30, 100};
    for (int s = 10; s <= 80; s++)
        ck_near(schedule_lr(&c, s), 1e-3);
    for (int s = 80; s <= 100; s++)
        ck_near(schedule_lr(&c, s), 1e-4 + (1e-3 - 1e-4) * (1 - sqrt((s - 80) / 20.0)));
    for (int s = 10; s <= 70; s++)
        ck_near(schedule_lr(&own, s), 1e-3);
    for (int s = 70; s <= 100; s++)
        ck_near(schedule_lr(&own, s), 1e-4 + (1e-3 - 1e-4) * (1 - sqrt((s - 70) / 30.0)));
    ck_near(schedule_lr(&own, 1000), 1e-4);
}
END_TEST

START_TEST(wsd_decays_after_the_warm_up)
{
    const struct schedule c = {SCHEDULE_WSD, 1e-3, 1e-4, 40, 80, 100}; /* it would begin at 20 */
    ck_near(schedule_lr(&c, 39), 1e-3 * 40 / 41);
    for (int s = 40; s <= 100; s++)
        ck_near(schedule_lr(&c, s), 1e-4 + (1e-3 - 1e-4) * (1 - sqrt((s - 40) / 60.0)));
}
END_TEST

START_TEST(extreme_settings_give_finite_rates)
{
    const uint64_t sizes[] = {0, 1, 2, 100, UINT64_MAX};
    for (int kind = SCHEDULE_CONSTANT; kind <= SCHEDULE_WSD; kind++)
        for (int w = 0; w < 5; w++)
            for (int d = 0; d < 5; d++)
                for (int n = 0; n < 5; n++)
                    for (int s = 0; s < 5; s++) {
                        const struct schedule c = {kind, 1e-3, 1e-4, sizes[w], sizes[d], sizes[n]};
                        const double lr = schedule_lr(&c, sizes[s]);
                        ck_assert(lr >= 0 && lr <= 1e-3 * (1 + 1e-15));
                    }
}
END_TEST

SUITE("optim/schedule", warmup_is_that_of_nanogpt, constant_rate, cosine_is_that_of_nanogpt,
      linear_decay, decay_steps_0_means_all_steps, wsd_is_constant_then_decays_by_the_root,
      wsd_decays_after_the_warm_up, extreme_settings_give_finite_rates)
