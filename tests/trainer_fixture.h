/* trainer_fixture.h: shared by the tests of the trainer: a small corpus, a small run on it, and a
 * comparison of two runs. */
#pragma once

#include "tests/files.h"
#include "train/cli/command.h"
#include "train/resume.h"
#include "train/trainer.h"

enum { STEPS = 4, ACCUMULATE = 3, LINES = 300 };

static const __attribute__((unused)) struct allowed nothing;

/* Text as one stream, or in documents with or without an end-of-text token each. */
enum division { STREAM, ENDED, UNENDED };

/* A tokenizer of the 256 bytes without special tokens. */
FIXTURE const char *write_bytes_tiktoken(void)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static char path[96];
    snprintf(path, sizeof path, "%s/bytes.tiktoken", folder);
    FILE *f = fopen(path, "w");
    for (int i = 0; i < 256; i++)
        fprintf(f, "%c%c== %d\n", digits[i >> 2], digits[(i & 3) << 4], i);
    ck_assert_int_eq(fclose(f), 0);
    return path;
}

/* Tokenizes a text of numbers: by characters, or with one document per line, of 14 to 23 bytes. */
FIXTURE void make_data(enum division division)
{
    char text[96], data[96];
    enter_folder();
    snprintf(text, sizeof text, "%s/text.txt", folder);
    snprintf(data, sizeof data, "%s/data", folder);
    FILE *f = fopen(text, "w");
    for (int i = 0; i < LINES; i++)
        fprintf(f, "%d squared is %d\n", i, i * i);
    ck_assert_int_eq(fclose(f), 0);
    const char *const tokenizer = division == STREAM  ? "char"
                                  : division == ENDED ? "bpe:280"
                                                      : write_bytes_tiktoken();
    char *argv[] = {
        "handgrad tokenize",    text,  "-o",        data,   "--tokenizer", (char *)tokenizer,
        "--document-separator", "\\n", "--pattern", "gpt2", NULL};
    ck_assert_int_eq(command_run(command_tokenize, division == STREAM ? 6 : 10, argv), 0);
}

FIXTURE struct config small(void)
{
    struct config c;
    config_defaults(&c);
    c.model.n_layer = 2;
    c.model.n_head = 2;
    c.model.n_embd = 24;
    c.model.block_size = 16;
    c.model.dropout = 0.2;
    c.train.batch_size = 3;
    c.train.accumulate = ACCUMULATE;
    c.train.steps = STEPS;
    c.optim.warmup = 1;
    c.optim.lr = 1e-2;
    snprintf(c.data.dir, sizeof c.data.dir, "%s/data", folder);
    return c;
}

FIXTURE int trainer_save(const struct trainer *t, const char *path, struct error *err)
{
    const struct checkpoint c = trainer_checkpoint(t);
    return checkpoint_write(&c, path, err);
}

FIXTURE void advance(struct trainer *t, size_t micro_steps)
{
    for (size_t i = 0; i < micro_steps; i++)
        OK(trainer_micro_step(t, &err));
}

FIXTURE struct trainer begin(const struct config *c)
{
    struct trainer t;
    OK(trainer_create(&t, c, &err));
    OK(trainer_start(&t, &err));
    return t;
}

/* Compares weights, moments, and metrics of the last step. */
FIXTURE void assert_same(const struct trainer *a, const struct trainer *b)
{
    /* tensor by tensor, as the gaps between them are never written */
    for (size_t k = 0; k < a->model.tensors->count; k++) {
        const struct tensor *t = &a->model.tensors->list[k];
        ck_assert_mem_eq(a->model.params + t->offset, b->model.params + t->offset,
                         t->size * sizeof(real));
        ck_assert_mem_eq(a->m + t->offset, b->m + t->offset, t->size * sizeof(real));
        ck_assert_mem_eq(a->v + t->offset, b->v + t->offset, t->size * sizeof(real));
    }
    ck_assert_uint_eq(a->state.step, b->state.step);
    ck_assert_uint_eq(a->state.micro, b->state.micro);
    ck_assert_mem_eq(&a->state.smoothed_loss, &b->state.smoothed_loss, sizeof(double));
    ck_assert_mem_eq(&a->metrics.loss, &b->metrics.loss, sizeof(double));
    ck_assert_mem_eq(&a->metrics.grad_norm, &b->metrics.grad_norm, sizeof(double));
}
