/* test_documents.c: training and evaluation with windows that begin at documents and attention
 * within them: a run stopped between any two micro-steps resumes bit for bit; accumulation equals a
 * large batch; evaluation counts the right tokens. */
#include "tests/trainer_fixture.h"
#include "train/evaluate.h"
#include <math.h>

static struct config by_documents(void)
{
    struct config c = small();
    c.data.windows = WINDOWS_DOCUMENTS;
    c.data.mask_documents = true;
    return c;
}

START_TEST(resume_between_any_two_micro_steps)
{
    make_data(ENDED);
    const struct config c = by_documents();
    struct trainer whole = begin(&c);
    advance(&whole, STEPS * ACCUMULATE);
    ck_assert(whole.metrics.loss > 1 && isfinite(whole.metrics.loss));
    const char *const path = in_folder("stop.h5");
    for (size_t stop = 0; stop < STEPS * ACCUMULATE; stop++) {
        struct trainer first = begin(&c), second;
        advance(&first, stop);
        OK(trainer_save(&first, path, &err));
        trainer_destroy(&first);
        OK(trainer_create(&second, &c, &err));
        OK(trainer_resume(&second, path, &nothing, &err));
        OK(trainer_start(&second, &err));
        advance(&second, STEPS * ACCUMULATE - stop);
        for (size_t k = 0; k < whole.model.tensors->count; k++) {
            const struct tensor *t = &whole.model.tensors->list[k];
            ck_assert_mem_eq(whole.model.params + t->offset, second.model.params + t->offset,
                             t->size * sizeof(real));
        }
        ck_assert_mem_eq(&whole.metrics.loss, &second.metrics.loss, sizeof(double));
        trainer_destroy(&second);
    }
    trainer_destroy(&whole);
}
END_TEST

START_TEST(other_masks_must_be_allowed)
{
    make_data(ENDED);
    struct config c = by_documents();
    const char *const path = in_folder("stop.h5");
    for (size_t micro = 0; micro < 2; micro++) {
        struct trainer t = begin(&c);
        advance(&t, ACCUMULATE + micro);
        OK(trainer_save(&t, path, &err));
        trainer_destroy(&t);
        struct config other = c;
        other.data.mask_documents = false;
        OK(trainer_create(&t, &other, &err));
        ck_assert_int_eq(trainer_resume(&t, path, &nothing, &err), -1);
        ck_assert_msg(strstr(err.text, micro ? "of a step: mask_documents must not change"
                                             : "data.mask_documents yes != no"),
                      "%s", err.text);
        trainer_destroy(&t);
    }
}
END_TEST

/* Micro-batches with unequal numbers of targets give the same step as one large batch, up to the
 * order of summation. */
START_TEST(accumulation_equals_a_large_batch)
{
    make_data(UNENDED);
    struct config parts = by_documents(), whole = by_documents();
    parts.model.dropout = whole.model.dropout = 0;
    whole.train.batch_size *= ACCUMULATE;
    whole.train.accumulate = 1;
    struct trainer a = begin(&parts), b = begin(&whole);
    bool unequal = false;
    for (uint64_t step = 0; step < STEPS; step++) {
        struct batch first, second;
        OK(loader_batch(a.loader, step, 0, &first, &err));
        OK(loader_batch(a.loader, step, 1, &second, &err));
        unequal |= first.weight != second.weight;
        advance(&a, ACCUMULATE);
        advance(&b, 1);
        ck_assert_double_eq_tol(a.metrics.loss, b.metrics.loss, 1e-5 * b.metrics.loss);
        ck_assert_double_eq_tol(a.metrics.grad_norm, b.metrics.grad_norm,
                                1e-4 * b.metrics.grad_norm);
    }
    ck_assert(unequal);
    trainer_destroy(&a);
    trainer_destroy(&b);
}
END_TEST

/* Each token except the first of each document without an end is predicted once, for any number of
 * rows, from its own document. */
static void check_masked(bool ended)
{
    make_data(ended ? ENDED : UNENDED);
    const struct config c = by_documents();
    struct trainer t = begin(&c);
    advance(&t, STEPS * ACCUMULATE);
    struct split *val = split_open(in_folder("data"), "val", &err);
    ck_assert_msg(val, "%s", err.text);
    const struct documents *d = split_documents(val, &err);
    double first = 0;
    for (size_t rows = 1; rows <= 3; rows++) {
        struct evaluation masked, open;
        struct evaluation_plan plan = {
            .split = val, .rows = rows, .mask_documents = true, .tokenizer = t.tokenizer};
        struct evaluation_plan other = plan;
        other.mask_documents = false;
        OK(evaluate(&masked, &t.model, &model_code_f32, &plan, &err));
        OK(evaluate(&open, &t.model, &model_code_f32, &other, &err));
        ck_assert_uint_eq(open.tokens, val->tokens - 1);
        ck_assert_uint_eq(masked.tokens, ended ? val->tokens - 1 : val->tokens - d->count);
        ck_assert_double_ne(masked.loss, open.loss);
        first = first == 0 ? masked.loss : first;
        ck_assert_double_eq_tol(masked.loss, first, 1e-5);
    }
    split_close(val);
    trainer_destroy(&t);
    remove_folder();
}

START_TEST(evaluation_is_masked)
{
    check_masked(true);
    check_masked(false);
}
END_TEST

/* The loss of every token by a forward of its own row: with the last window that predicts it. */
static double token_by_token(struct trainer *t, struct split *val, bool masked, uint64_t last,
                             uint64_t *counted)
{
    enum { T = 16 };
    const struct documents *d = split_documents(val, &err);
    const size_t n = documents_windows(d, T, NULL);
    uint64_t *begins = malloc(n * sizeof *begins);
    documents_windows(d, T, begins);
    double sum = 0;
    *counted = 0;
    for (uint64_t token = 1; token <= last; token++) {
        uint32_t ids[T + 1], inputs[T], targets[T], start[T];
        size_t i = 0;
        while (i + 1 < n && begins[i + 1] < token)
            i++;
        const size_t at = token - begins[i] - 1;
        ck_assert_uint_lt(at, T);
        OK(split_read_wrapped(val, begins[i], T + 1, ids, &err));
        memcpy(inputs, ids, sizeof inputs);
        memcpy(targets, ids + 1, sizeof targets);
        documents_mask(d, begins[i], T, start, targets);
        if (masked && targets[at] == NO_TARGET)
            continue;
        targets[at] = ids[at + 1];
        const struct batch batch = {inputs, targets, masked ? start : NULL, 1, 1, T};
        double loss[2];
        model_code_f32.loss(loss, &t->model, &batch, NULL);
        sum += t->model.losses[at];
        ++*counted;
    }
    free(begins);
    return sum / *counted;
}

/* Validation reads the rows that training reads, and each token counts once. */
static void check_rows(enum division division)
{
    make_data(division);
    const struct config c = by_documents();
    struct trainer t = begin(&c);
    advance(&t, STEPS * ACCUMULATE);
    struct split *val = split_open(in_folder("data"), "val", &err);
    ck_assert_msg(val, "%s", err.text);
    const uint64_t limits[] = {0, 1, 16, 17, 100, val->tokens - 1, val->tokens + 5};
    for (int masked = 0; masked < 2; masked++)
        for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
            const uint64_t all = val->tokens - 1,
                           last = limits[i] && limits[i] < all ? limits[i] : all;
            uint64_t counted;
            const double expected = token_by_token(&t, val, masked, last, &counted);
            for (size_t rows = 1; rows <= 3 && counted; rows++) {
                struct evaluation e;
                const struct evaluation_plan plan = {.split = val,
                                                     .rows = rows,
                                                     .max_tokens = limits[i],
                                                     .windows = WINDOWS_DOCUMENTS,
                                                     .mask_documents = masked};
                OK(evaluate(&e, &t.model, &model_code_f32, &plan, &err));
                ck_assert_uint_eq(e.tokens, counted);
                ck_assert_double_eq_tol(e.loss, expected, 1e-5);
            }
        }
    split_close(val);
    trainer_destroy(&t);
    remove_folder();
}

START_TEST(evaluation_reads_rows_from_documents)
{
    check_rows(ENDED);
    check_rows(UNENDED);
}
END_TEST

SUITE("train/documents", resume_between_any_two_micro_steps, other_masks_must_be_allowed,
      accumulation_equals_a_large_batch, evaluation_is_masked, evaluation_reads_rows_from_documents)
