/* test_evaluate.c: the loss of a split, counted by hand: every token but the first once, in rows of
 * any number, up to a limit that need not be a multiple of the rows' length. */
#include "tests/trainer_fixture.h"
#include "train/evaluate.h"
#include <math.h>

static struct trainer trainer;

static struct evaluation evaluated(struct split *split, size_t rows, uint64_t max_tokens)
{
    const struct evaluation_plan plan = {.split = split,
                                         .tokenizer = trainer.tokenizer,
                                         .rows = rows,
                                         .max_tokens = max_tokens,
                                         .windows = WINDOWS_ANYWHERE};
    struct evaluation e;
    OK(evaluate(&e, &trainer.model, &model_code_f32, &plan, &err));
    return e;
}

/* The sum of -log p of targets 1 ... last, in windows of T, each in a batch of its own. */
static double nats_by_hand(const uint32_t *tokens, uint64_t last)
{
    const size_t T = trainer.config.model.block_size;
    double nats = 0;
    for (uint64_t begin = 0; begin < last; begin += T) {
        const size_t n = last - begin < T ? last - begin : T;
        const struct batch batch = {.inputs = tokens + begin,
                                    .targets = tokens + begin + 1,
                                    .weight = 1,
                                    .rows = 1,
                                    .block_size = n};
        double loss[2];
        model_code_f32.loss(loss, &trainer.model, &batch, NULL);
        for (size_t t = 0; t < n; t++)
            nats += trainer.model.losses[t];
    }
    return nats;
}

START_TEST(every_token_counts_once)
{
    make_data(ENDED); /* byte pairs: tokens and bytes differ, and special tokens have none */
    struct config c = small();
    trainer = begin(&c);
    struct split *split = split_open(c.data.dir, "val", &err);
    const uint64_t all = split->tokens - 1, T = c.model.block_size;
    ck_assert_uint_ne(all % T, 0);
    uint32_t *tokens = malloc((all + 1) * sizeof *tokens);
    OK(split_read_wrapped(split, 0, all + 1, tokens, &err));
    const uint64_t limits[] = {1, T - 1, T, T + 1, 3 * T + 5, all - 1, all, 0};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        const uint64_t last = limits[i] ? limits[i] : all;
        const double nats = nats_by_hand(tokens, last);
        double bytes = 0;
        for (uint64_t k = 1; k <= last; k++) {
            size_t length;
            tokenizer_bytes(trainer.tokenizer, tokens[k], &length);
            bytes += length;
        }
        for (size_t rows = 1; rows <= 3; rows++) {
            const struct evaluation e = evaluated(split, rows, limits[i]);
            ck_assert_uint_eq(e.tokens, last);
            ck_assert_double_le(fabs(e.loss * last / nats - 1), 1e-6);
            ck_assert_double_le(fabs(e.perplexity / exp(nats / last) - 1), 1e-5);
            if (bytes > 0)
                ck_assert_double_le(fabs(e.bits_per_byte * bytes * log(2) / nats - 1), 1e-6);
        }
    }
    free(tokens);
    split_close(split);
    trainer_destroy(&trainer);
}
END_TEST

SUITE("train/evaluate", every_token_counts_once)
