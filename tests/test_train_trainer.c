/* test_train_trainer.c: a run stopped between any two micro-steps goes on bit for bit; and a loss that is not finite changes
 * nothing. */
#include "../train/command.h"
#include "../train/resume.h"
#include "../train/trainer.h"
#include "test.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { STEPS = 4, ACCUMULATE = 3 };

static char dir[] = "/tmp/handgrad-trainer-XXXXXX";
static char data_dir[64];

/* A text of numbers, tokenized by the command itself. */
static void make_data(void)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
    char text[64];
    snprintf(text, sizeof text, "%s/text.txt", dir);
    snprintf(data_dir, sizeof data_dir, "%s/data", dir);
    FILE *f = fopen(text, "w");
    for (int i = 0; i < 300; i++)
        fprintf(f, "%d squared is %d\n", i, i * i);
    ck_assert_int_eq(fclose(f), 0);
    char *argv[] = {"handgrad tokenize", text, "-o", data_dir, "--tokenizer", "char", NULL};
    ck_assert_int_eq(command_tokenize(6, argv), 0);
}

static void remove_data(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static struct config small(void)
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
    snprintf(c.data.dir, sizeof c.data.dir, "%s", data_dir);
    return c;
}

static struct error err;
static const struct allowed nothing;
#define OK(call) ck_assert_msg((call) == 0, "%s", err.text)

static void advance(struct trainer *t, size_t micro_steps)
{
    for (size_t i = 0; i < micro_steps; i++)
        OK(trainer_micro_step(t, &err));
}

static void assert_same(const struct trainer *a, const struct trainer *b)
{
    for (size_t k = 0; k < a->model.tensors->count; k++) { /* a tensor at a time: nothing is written in the gaps between */
        const struct tensor *t = &a->model.tensors->list[k];
        ck_assert_mem_eq(a->model.params + t->offset, b->model.params + t->offset, t->size * sizeof(real));
        ck_assert_mem_eq(a->m + t->offset, b->m + t->offset, t->size * sizeof(real));
        ck_assert_mem_eq(a->v + t->offset, b->v + t->offset, t->size * sizeof(real));
    }
    ck_assert_uint_eq(a->state.step, b->state.step);
    ck_assert_uint_eq(a->state.micro, b->state.micro);
    ck_assert_mem_eq(&a->state.smoothed_loss, &b->state.smoothed_loss, sizeof(double));
    ck_assert_mem_eq(&a->metrics.loss, &b->metrics.loss, sizeof(double));
    ck_assert_mem_eq(&a->metrics.grad_norm, &b->metrics.grad_norm, sizeof(double));
}

START_TEST(resume_between_any_two_micro_steps)
{
    make_data();
    const struct config c = small();
    struct trainer whole;
    OK(trainer_create(&whole, &c, &err));
    OK(trainer_start(&whole, &err));
    advance(&whole, STEPS * ACCUMULATE);
    char path[96];
    snprintf(path, sizeof path, "%s/stop.h5", dir);
    for (size_t stop = 0; stop < STEPS * ACCUMULATE; stop++) {
        struct trainer first, second;
        OK(trainer_create(&first, &c, &err));
        OK(trainer_start(&first, &err));
        advance(&first, stop);
        OK(trainer_save(&first, path, &err));
        trainer_destroy(&first);
        OK(trainer_create(&second, &c, &err));
        memset(second.model.params, 0xff, second.model.tensors->total * sizeof(real)); /* NaN: all has to come from the file */
        OK(trainer_resume(&second, path, &nothing, &err));
        OK(trainer_start(&second, &err));
        ck_assert_uint_eq(second.state.step * ACCUMULATE + second.state.micro, stop);
        advance(&second, STEPS * ACCUMULATE - stop);
        assert_same(&whole, &second);
        trainer_destroy(&second);
    }
    trainer_destroy(&whole);
    remove_data();
}
END_TEST

START_TEST(another_batch_cannot_complete_a_step)
{
    make_data();
    struct config c = small();
    struct trainer t;
    OK(trainer_create(&t, &c, &err));
    OK(trainer_start(&t, &err));
    advance(&t, 1);
    char path[96];
    snprintf(path, sizeof path, "%s/stop.h5", dir);
    OK(trainer_save(&t, path, &err));
    trainer_destroy(&t);
    c.train.accumulate = ACCUMULATE + 1;
    OK(trainer_create(&t, &c, &err));
    ck_assert_int_eq(trainer_resume(&t, path, &nothing, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.text, "1 of 3 micro-batches"));
    trainer_destroy(&t);
    remove_data();
}
END_TEST

START_TEST(not_finite_changes_nothing)
{
    make_data();
    const struct config c = small();
    struct trainer t;
    OK(trainer_create(&t, &c, &err));
    OK(trainer_start(&t, &err));
    advance(&t, ACCUMULATE);
    t.model.w[1][MLP_C_PROJ_WEIGHT][5] = NAN;
    const size_t bytes = t.model.tensors->total * sizeof(real);
    real *params = malloc(bytes), *m = malloc(bytes), *v = malloc(bytes);
    memcpy(params, t.model.params, bytes);
    memcpy(m, t.m, bytes);
    memcpy(v, t.v, bytes);
    ck_assert_int_eq(trainer_micro_step(&t, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.text, "step 2: loss is"));
    ck_assert_mem_eq(params, t.model.params, bytes);
    ck_assert_mem_eq(m, t.m, bytes);
    ck_assert_mem_eq(v, t.v, bytes);
    free(params);
    free(m);
    free(v);
    trainer_destroy(&t);
    remove_data();
}
END_TEST

SUITE("trainer", resume_between_any_two_micro_steps, another_batch_cannot_complete_a_step, not_finite_changes_nothing)
