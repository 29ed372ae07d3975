/* checkpoint_fixture.h: shared by the tests of checkpoints: a checkpoint with every part, and
 * checks of its file. */
#pragma once

#include "tests/files.h"
#include "train/checkpoint/checkpoint.h"
#include <math.h>

/* A checkpoint with every part and distinct numbers in its arrays. */
FIXTURE struct checkpoint make(uint64_t step, bool tokenizer, size_t padded)
{
    static const uint32_t letters[] = {'\n', 'a', 'b', 0xe9, 0x1f600};
    struct checkpoint c = {.state = {.step = step,
                                     .micro = 1,
                                     .micro_loss = 0.1,
                                     .smoothed_loss = 1.0 / 3,
                                     .val_loss = NAN,
                                     .best_val_loss = 1.7,
                                     .val_step = 3,
                                     .best_step = UINT64_MAX,
                                     .tokens = 11,
                                     .updates = 12,
                                     .skipped = 13,
                                     .skipped_in_row = 14,
                                     .spikes = 15,
                                     .rollbacks = 16,
                                     .rolled_back_from = 17,
                                     .rolled_back_to = 18,
                                     .batch_shift = 19,
                                     .row_shift = 20,
                                     .evals_since_best = 21,
                                     .documents = 22,
                                     .val_measure = "a part of it"}};
    struct model_config model;
    char set[64];
    config_defaults(&c.config);
    const char *const sets[] = {"model.n_layer=2", "model.n_embd=12",    "model.block_size=5",
                                "model.bias=yes",  "train.accumulate=2", "optim.lr=0.0007"};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        ck_assert_int_eq(config_set(&c.config, sets[i], &err), 0);
    snprintf(set, sizeof set, "model.vocab_size=%zu", padded);
    ck_assert_int_eq(config_set(&c.config, set, &err), 0);
    strcpy(c.data_fingerprint, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    c.tokenizer = tokenizer ? tokenizer_create_char(letters, 5, &err) : NULL;
    ck_assert_int_eq(config_model(&c.config, tokenizer ? 5 : 0, &model, "test", &err), 0);
    c.tensors = tensors_create(&model);
    float *arrays = malloc(4 * c.tensors->total * sizeof *arrays);
    for (size_t i = 0; i < 4 * c.tensors->total; i++)
        arrays[i] = (float)sin((double)i + (double)step) * powf(10, (float)((int)(i % 70) - 40));
    c.params = arrays;
    c.m = arrays + c.tensors->total;
    c.v = arrays + 2 * c.tensors->total;
    c.grads = arrays + 3 * c.tensors->total;
    return c;
}

FIXTURE void destroy(struct checkpoint *c)
{
    free((void *)c->params);
    tensors_destroy(c->tensors);
    tokenizer_destroy(c->tokenizer);
}

FIXTURE void ck_write(const struct checkpoint *c, const char *path)
{
    if (checkpoint_write(c, path, &err))
        ck_abort_msg("%s", err.text);
}

FIXTURE void write_step(uint64_t step, const char *path)
{
    struct checkpoint c = make(step, true, 0);
    ck_write(&c, path);
    destroy(&c);
}

FIXTURE void ck_opens(const char *path)
{
    struct checkpoint c;
    struct checkpoint_file *f = checkpoint_open(path, &c, &err);
    if (!f)
        ck_abort_msg("%s", err.text);
    checkpoint_close(f);
}
