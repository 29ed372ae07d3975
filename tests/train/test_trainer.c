/* test_trainer.c: a run stopped between any two micro-steps resumes bit for bit, and what changes
 * must be allowed. */
#include "tests/trainer_fixture.h"
#include <math.h>

START_TEST(resume_between_any_two_micro_steps)
{
    make_data(STREAM);
    const struct config c = small();
    struct trainer whole = begin(&c);
    advance(&whole, STEPS * ACCUMULATE);
    const char *const path = in_folder("stop.h5");
    for (size_t stop = 0; stop < STEPS * ACCUMULATE; stop++) {
        struct trainer first, second;
        first = begin(&c);
        advance(&first, stop);
        OK(trainer_save(&first, path, &err));
        trainer_destroy(&first);
        OK(trainer_create(&second, &c, &err));
        /* NaN: all weights must come from the file */
        memset(second.model.params, 0xff, second.model.tensors->total * sizeof(real));
        OK(trainer_resume(&second, path, &nothing, &err));
        OK(trainer_start(&second, &err));
        ck_assert_uint_eq(second.state.step * ACCUMULATE + second.state.micro, stop);
        advance(&second, STEPS * ACCUMULATE - stop);
        assert_same(&whole, &second);
        trainer_destroy(&second);
    }
    trainer_destroy(&whole);
}
END_TEST

START_TEST(other_batches_cannot_complete_a_step)
{
    make_data(STREAM);
    struct config c = small();
    struct trainer t = begin(&c);
    advance(&t, 1);
    const char *const path = in_folder("stop.h5");
    OK(trainer_save(&t, path, &err));
    trainer_destroy(&t);
    c.train.accumulate = ACCUMULATE + 1;
    OK(trainer_create(&t, &c, &err));
    ck_assert_int_eq(trainer_resume(&t, path, &nothing, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.text, "1 of 3 micro-batches"));
    trainer_destroy(&t);
}
END_TEST

/* What is reported of a step is the learning rate that it used. */
START_TEST(the_rate_of_a_step)
{
    make_data(STREAM);
    struct config c = small();
    c.optim.warmup = 2;
    struct trainer t = begin(&c);
    for (uint64_t step = 0; step < STEPS; step++) {
        advance(&t, ACCUMULATE);
        ck_assert_double_eq(t.metrics.lr, config_lr(&c, step));
        ck_assert_uint_eq(t.metrics.step, step + 1);
    }
    ck_assert_double_eq(config_lr(&c, 0), 1e-2 / 3);
    trainer_destroy(&t);
}
END_TEST

/* Dropout belongs to rows: a step in one piece and in several drop the same numbers. */
START_TEST(dropout_does_not_depend_on_accumulation)
{
    make_data(STREAM);
    struct config c = small();
    c.optim.lr = c.optim.min_lr = 0;
    c.model.dropout = 0.5;
    double loss[3], norm[3];
    for (int i = 0; i < 3; i++) {
        c.train.accumulate = i < 2 ? 1 + 5 * i : 2;
        c.train.batch_size = 6 / c.train.accumulate;
        struct trainer t = begin(&c);
        advance(&t, c.train.accumulate);
        loss[i] = t.metrics.loss;
        norm[i] = t.metrics.grad_norm;
        trainer_destroy(&t);
        ck_assert_double_le(fabs(loss[i] / loss[0] - 1), 1e-6);
        ck_assert_double_le(fabs(norm[i] / norm[0] - 1), 1e-4);
    }
}
END_TEST

START_TEST(changes_must_be_allowed)
{
    static const struct {
        const char *set, *allow, *refused; /* refused NULL: resumes */
    } cases[] = {
        {"train.log_every=3", NULL, NULL},
        {"train.keep=7", NULL, NULL},
        {"train.log_tensors=1", NULL, NULL},
        {"train.sample_tokens=0", NULL, NULL},
        {"train.tensorboard=yes", NULL, NULL},
        {"train.recompute=block", NULL, NULL},
        {"optim.lr=0.5", NULL,
         "changed since: optim.lr 0.01 != 0.5; --allow lr accepts the new values"},
        {"optim.lr=0.5", "clip", "changed since: optim.lr"},
        {"optim.lr=0.5", "clip,lr", NULL},
        {"optim.lr=0.5", "optim.lr", NULL},
        {"optim.lr=0.5", "optim", NULL},
        {"train.steps=99", "data", "changed since: train.steps 4 != 99; --allow steps"},
        {"train.steps=99", "steps", NULL},
        {"model.dropout=0", NULL, "changed since: model.dropout 0.2 != 0; --allow dropout"},
        {"model.n_head=4", "n_head", "n_head"},
        {"model.n_embd=32", "model", "model.n_embd is 24, expected 32"},
    };
    make_data(STREAM);
    struct trainer t;
    struct config c = small();
    const char *const path = in_folder("stop.h5");
    OK(trainer_create(&t, &c, &err));
    OK(trainer_save(&t, path, &err));
    strcpy(t.data_fingerprint, "another");
    const char *const other = in_folder("other.h5");
    OK(trainer_save(&t, other, &err));
    trainer_destroy(&t);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct allowed a = {0};
        c = small();
        OK(config_set(&c, cases[i].set, &err));
        if (cases[i].allow)
            OK(allow(&a, cases[i].allow, &err));
        OK(trainer_create(&t, &c, &err));
        const int status = trainer_resume(&t, path, &a, &err);
        ck_assert_msg(status == (cases[i].refused ? -1 : 0), "%s", cases[i].set);
        if (cases[i].refused)
            ck_assert_msg(strstr(err.text, cases[i].refused), "%s", err.text);
        trainer_destroy(&t);
    }
    c = small();
    struct allowed data = {0};
    OK(trainer_create(&t, &c, &err));
    ck_assert_int_eq(trainer_resume(&t, other, &nothing, &err), -1);
    ck_assert_msg(strstr(err.text, "was trained on other data") && strstr(err.text, "--allow data"),
                  "%s", err.text);
    OK(allow(&data, "data", &err));
    OK(trainer_resume(&t, other, &data, &err));
    trainer_destroy(&t);
    ck_assert_int_eq(allow(&data, "learning_rate", &err), -1);
    ck_assert_msg(strstr(err.text, "did you mean lr?"), "%s", err.text);
}
END_TEST

/* Sets a key to another value, which may be invalid otherwise; false for strings. */
static bool change(const struct config_key *key, struct config *c)
{
    void *at = (char *)c + key->offset;
    switch (key->type) {
    case KEY_COUNT:
        ++*(uint64_t *)at;
        return true;
    case KEY_NUMBER:
        *(double *)at = *(double *)at / 2 + 1e-3;
        return true;
    case KEY_BOOL:
        *(bool *)at = !*(bool *)at;
        return true;
    case KEY_ENUM:
        *(int *)at = !*(int *)at;
        return true;
    case KEY_STRING:
        break;
    }
    return false;
}

/* What a resumed run may change: without --allow, these keys; never these, nor the shape of the
 * model; only between steps these. All others with --allow. */
static const char HARMLESS[] =
    " dir recompute eval_every eval_tokens patience checkpoint_every keep "
    "log_every log_tensors sample_tokens tensorboard ",
                  NEVER[] = " n_layer n_head n_embd block_size bias gelu ",
                  BETWEEN_STEPS[] = " order windows mask_documents batch_size accumulate seed ";

static bool is_in(const char *list, const struct config_key *key)
{
    char word[64];
    snprintf(word, sizeof word, " %s ", key->name);
    return strstr(list, word);
}

START_TEST(each_key_alone)
{
    make_data(STREAM);
    struct config c = small();
    struct trainer t = begin(&c);
    advance(&t, ACCUMULATE);
    for (int inside = 0; inside < 2; inside++) {
        advance(&t, inside);
        const struct checkpoint was = trainer_checkpoint(&t);
        for (size_t k = 0; k < config_key_count; k++) {
            const struct config_key *key = &config_keys[k];
            struct checkpoint run = was;
            struct allowed a = {0};
            if (!change(key, &run.config))
                continue;
            const int without = check_resume(&run, &was, &a, "x", &err);
            ck_assert_msg(without == (is_in(HARMLESS, key) ? 0 : -1), "%s.%s", key->section,
                          key->name);
            if (without)
                ck_assert_msg(strstr(err.text, key->name), "%s: %s", key->name, err.text);
            a.keys[k] = true;
            const bool ever = !is_in(NEVER, key) && !(is_in(BETWEEN_STEPS, key) && inside);
            ck_assert_msg(check_resume(&run, &was, &a, "x", &err) == (ever ? 0 : -1),
                          "--allow %s.%s, inside a step: %d: %s", key->section, key->name, inside,
                          err.text);
        }
    }
    trainer_destroy(&t);
}
END_TEST

START_TEST(lists_of_allowed_names_add_up)
{
    static const char *const lists[][2] = {
        {"beta1", "eps"}, {",beta1", "eps"}, {"beta1,,,", "eps"}, {",,", "beta1,eps"}};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        struct allowed a = {0};
        OK(allow(&a, lists[i][0], &err));
        OK(allow(&a, lists[i][1], &err));
        for (size_t k = 0; k < config_key_count; k++)
            ck_assert_int_eq(a.keys[k], !strcmp(config_keys[k].name, "beta1") ||
                                            !strcmp(config_keys[k].name, "eps"));
    }
}
END_TEST

/* Saves after so many micro-steps, and resumes with another configuration. */
static struct trainer save_and_resume(const struct config *before, size_t micro_steps,
                                      const struct config *after, const char *allowed)
{
    const char *const path = in_folder("stop.h5");
    struct allowed a = {0};
    struct trainer t = begin(before);
    advance(&t, micro_steps);
    OK(trainer_save(&t, path, &err));
    trainer_destroy(&t);
    OK(allow(&a, allowed, &err));
    OK(trainer_create(&t, after, &err));
    OK(trainer_resume(&t, path, &a, &err));
    OK(trainer_start(&t, &err));
    return t;
}

START_TEST(tokens_are_counted_with_the_batch_size_of_each_step)
{
    make_data(STREAM);
    const struct config c = small();
    struct config larger = c;
    larger.train.batch_size = 5;
    struct trainer t = save_and_resume(&c, 2 * ACCUMULATE, &larger, "batch_size");
    advance(&t, ACCUMULATE);
    ck_assert_uint_eq(t.metrics.tokens, ACCUMULATE * 16 * (2 * 3 + 5));
    trainer_destroy(&t);
}
END_TEST

/* Pretends that the rest of the step took a thousand seconds. */
START_TEST(speed_counts_only_this_process)
{
    make_data(STREAM);
    const struct config c = small();
    struct trainer t = save_and_resume(&c, 2, &c, "");
    t.started -= 1000;
    advance(&t, ACCUMULATE - 2);
    ck_assert_uint_eq(t.state.step, 1);
    ck_assert_double_eq_tol(t.metrics.tokens_per_s, 3 * 16 / 1000., 0.01);
    ck_assert_uint_eq(t.metrics.tokens, ACCUMULATE * 3 * 16);
    advance(&t, 1);
    t.started -= 1000;
    advance(&t, ACCUMULATE - 1);
    ck_assert_double_eq_tol(t.metrics.tokens_per_s, ACCUMULATE * 3 * 16 / 1000., 0.01);
    trainer_destroy(&t);
}
END_TEST

START_TEST(too_little_memory_is_detected_first)
{
    make_data(STREAM);
    struct config c = small();
    struct trainer t;
    c.train.batch_size = 1 << 20;
    c.model.block_size = 1000; /* the text has 5439 */
    ck_assert_int_eq(trainer_create(&t, &c, &err), -1);
    ck_assert_msg(strstr(err.text, "batch_size 1048576 of 1000 tokens: needs ") &&
                      strstr(err.text, " of memory, "),
                  "%s", err.text);
}
END_TEST

SUITE("trainer", resume_between_any_two_micro_steps, other_batches_cannot_complete_a_step,
      changes_must_be_allowed, lists_of_allowed_names_add_up,
      tokens_are_counted_with_the_batch_size_of_each_step, speed_counts_only_this_process,
      too_little_memory_is_detected_first, the_rate_of_a_step,
      dropout_does_not_depend_on_accumulation, each_key_alone)
