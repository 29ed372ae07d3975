/* test_config_for_text.c: what is chosen for a text is a valid configuration for any text and
 * machine, grows with the time, and keeps to the floating-point operations that were given. */
#include "tests/test.h"
#include "train/config/config_for_text.h"
#include "train/peak.h"
#include <math.h>

static struct config choose(double tokens, size_t vocab_size, double flops)
{
    struct config c;
    struct error err;
    config_defaults(&c);
    config_for_text(&c, (uint64_t)tokens, vocab_size, flops, 0);
    ck_assert_msg(!config_check(&c, "chosen", &err), "%s", err.text);
    return c;
}

static double parameters(const struct config *c)
{
    return (double)c->model.n_layer * c->model.n_embd * c->model.n_embd;
}

static double flops_of(const struct config *c, size_t vocab_size)
{
    struct model_config m;
    struct error err;
    ck_assert(!config_model(c, vocab_size, &m, "chosen", &err));
    return step_flops(&m, c->train.batch_size, c->model.block_size) * c->train.steps;
}

START_TEST(any_text_and_machine)
{
    for (double tokens = 1; tokens < 1e12; tokens *= 7)
        for (size_t vocab_size = 2; vocab_size < 300000; vocab_size *= 9)
            for (double flops = 1; flops < 1e22; flops *= 50) {
                const struct config c = choose(tokens, vocab_size, flops);
                ck_assert(c.model.block_size < tokens || tokens < 4);
                ck_assert(c.optim.warmup < c.train.steps);
                ck_assert(c.train.eval_every > 0 && c.train.eval_every <= c.train.steps);
            }
}
END_TEST

START_TEST(the_operations_are_spent)
{
    for (double flops = 1e13; flops < 1e19; flops *= 10) {
        const struct config c = choose(1e9, 4096, flops);
        ck_assert_double_le(fabs(flops_of(&c, 4096) / flops - 1), 0.05);
    }
}
END_TEST

START_TEST(models_grow_with_time)
{
    double last = 0;
    for (double flops = 1e12; flops < 1e21; flops *= 10) {
        const struct config c = choose(1e10, 4096, flops);
        ck_assert_double_ge(parameters(&c), last);
        last = parameters(&c);
    }
    ck_assert_double_gt(last, 12 * 700 * 700);
}
END_TEST

START_TEST(repeated_reading_is_counted)
{
    struct config c;
    config_defaults(&c);
    config_for_text(&c, 10000, 512, 1e9, 500);
    ck_assert_uint_eq(c.train.steps, 500);
    ck_assert_double_eq(config_epochs(&c, 10000), 500.0 * config_step_tokens(&c) / 10000);
    ck_assert_double_gt(c.model.dropout, 0);
    config_for_text(&c, 100000000, 512, 1e9, 500);
    ck_assert_double_eq(c.model.dropout, 0);
}
END_TEST

SUITE("train/config/config_for_text", any_text_and_machine, the_operations_are_spent,
      models_grow_with_time, repeated_reading_is_counted)
