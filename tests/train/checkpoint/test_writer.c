/* test_writer.c: checkpoints written while the run continues: they hold the state at the time of
 * the save; a failure is reported, keeps the previous file, and can be retried. */
#include "tests/limit_files.h"
#include "train/checkpoint/run_directory.h"
#include "train/checkpoint/writer.h"
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>

/* Replaces the C library's function to count the files written. */
static _Atomic unsigned renamed;
int rename(const char *from, const char *to)
{
    renamed++;
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

static struct checkpoint make(void)
{
    struct checkpoint c = {0};
    struct model_config model;
    config_defaults(&c.config);
    OK(config_set(&c.config, "model.vocab_size=64", &err));
    OK(config_model(&c.config, 0, &model, "test", &err));
    c.tensors = tensors_create(&model);
    float *arrays = calloc(3 * c.tensors->total, sizeof *arrays);
    c.params = arrays;
    c.m = arrays + c.tensors->total;
    c.v = arrays + 2 * c.tensors->total;
    return c;
}

/* Sets every number of the run to the step. */
static void advance(struct checkpoint *c)
{
    c->state.step++;
    for (size_t i = 0; i < 3 * c->tensors->total; i++)
        ((float *)c->params)[i] = (float)c->state.step;
}

static void destroy(struct checkpoint *c)
{
    free((void *)c->params);
    tensors_destroy(c->tensors);
}

static void ck_holds(const char *path, uint64_t step)
{
    static const char *const groups[] = {"params", "adamw/m", "adamw/v"};
    struct checkpoint c;
    struct checkpoint_file *f = checkpoint_open(path, &c, &err);
    ck_assert_msg(f, "%s", err.text);
    ck_assert_uint_eq(c.state.step, step);
    float *x = malloc(c.tensors->total * sizeof *x);
    size_t wrong = 0;
    for (int g = 0; g < 3; g++) {
        OK(checkpoint_read(f, groups[g], x, &err));
        for (size_t k = 0; k < c.tensors->count; k++)
            for (size_t i = 0; i < tensor_file_size(&c.tensors->list[k]); i++)
                wrong += x[c.tensors->list[k].offset + i] != (float)step;
    }
    ck_assert_uint_eq(wrong, 0);
    free(x);
    checkpoint_close(f);
}

static enum save_outcome wait_for(struct writer *w, struct save_report *report)
{
    writer_wait(w);
    return writer_poll(w, report);
}

static struct writer *open_writer(const struct checkpoint *c, bool buffer)
{
    struct writer *w = writer_open(folder, 3, buffer ? checkpoint_size(c) : 0, UINT64_MAX, &err);
    ck_assert_msg(w, "%s", err.text);
    return w;
}

/* The arrays change as soon as writer_save has returned. */
START_TEST(a_save_holds_the_state_at_its_time)
{
    for (int buffer = 0; buffer < 2; buffer++) {
        enter_folder();
        struct checkpoint c = make();
        struct save_report report;
        struct writer *w = open_writer(&c, buffer);
        for (int i = 0; i < 20; i++) {
            advance(&c);
            OK(writer_save(w, &c, i == 4 ? SAVE_ROTATED | SAVE_BEST : SAVE_ROTATED, -1, &err));
        }
        ck_assert_int_eq(wait_for(w, &report), SAVE_DONE);
        ck_assert_uint_eq(report.step, 20);
        ck_assert_int_eq(writer_poll(w, &report), SAVE_PENDING); /* reported once */
        writer_close(w);
        ck_assert_uint_eq(count_files(), 4);
        ck_holds(in_folder("ckpt-18.h5"), 18);
        ck_holds(in_folder("ckpt-20.h5"), 20);
        ck_holds(in_folder("best.h5"), 5);
        destroy(&c);
    }
}
END_TEST

START_TEST(a_failure_is_reported_and_can_be_retried)
{
    for (int buffer = 0; buffer < 2; buffer++) {
        enter_folder();
        struct checkpoint c = make();
        struct save_report report;
        struct writer *w = open_writer(&c, buffer);
        advance(&c);
        OK(writer_save(w, &c, SAVE_ROTATED, -1, &err));
        ck_assert_int_eq(wait_for(w, &report), SAVE_DONE);
        advance(&c);
        limit_files(100000);
        const int status = writer_save(w, &c, SAVE_ROTATED | SAVE_BEST, -1, &err);
        const enum save_outcome outcome = wait_for(w, &report);
        limit_files(RLIM_INFINITY);
        OK(status);
        ck_assert_int_eq(outcome, SAVE_FAILED);
        ck_assert_msg(strstr(report.err.text, "ckpt-2.h5: writing: File too large"), "%s",
                      report.err.text);
        ck_assert_uint_eq(report.written, 0);
        ck_assert_uint_eq(count_files(), 1);
        ck_holds(in_folder("ckpt-1.h5"), 1);
        ck_assert_int_eq(writer_can_retry(w), buffer);
        advance(&c); /* training continues */
        if (buffer) {
            writer_retry(w);
            ck_assert_int_eq(wait_for(w, &report), SAVE_DONE);
            ck_assert(!writer_can_retry(w));
            ck_holds(in_folder("ckpt-2.h5"), 2);
            ck_holds(in_folder("best.h5"), 2);
        }
        OK(writer_save(w, &c, SAVE_ROTATED, -1, &err));
        ck_assert_int_eq(wait_for(w, &report), SAVE_DONE);
        ck_holds(in_folder("ckpt-3.h5"), 3);
        writer_close(w);
        destroy(&c);
    }
}
END_TEST

/* One of two files fails, because a directory has its name. The other is reported and not written
 * again. */
START_TEST(targets_are_reported_separately)
{
    enter_folder();
    struct checkpoint c = make();
    struct save_report report;
    struct writer *w = open_writer(&c, true);
    advance(&c);
    ck_assert_int_eq(mkdir(in_folder("best.h5"), 0700), 0);
    OK(writer_save(w, &c, SAVE_ROTATED | SAVE_BEST, -1, &err));
    ck_assert_int_eq(wait_for(w, &report), SAVE_FAILED);
    ck_assert_uint_eq(report.written, SAVE_ROTATED);
    ck_assert_int_eq(rmdir(in_folder("best.h5")), 0);
    writer_retry(w);
    ck_assert_int_eq(wait_for(w, &report), SAVE_DONE);
    ck_assert_uint_eq(report.written, SAVE_BEST);
    ck_holds(in_folder("best.h5"), 1);
    writer_close(w);
    destroy(&c);
}
END_TEST

/* A run that is rolled back discards what could not be written. */
START_TEST(a_discarded_save_is_not_written)
{
    enter_folder();
    struct checkpoint c = make();
    struct save_report report;
    struct writer *w = open_writer(&c, true);
    advance(&c);
    limit_files(1000);
    const int status = writer_save(w, &c, SAVE_ROTATED, -1, &err);
    writer_wait(w);
    limit_files(RLIM_INFINITY);
    OK(status);
    ck_assert(writer_can_retry(w));
    writer_discard(w);
    ck_assert(!writer_can_retry(w));
    writer_retry(w);
    ck_assert_int_eq(wait_for(w, &report), SAVE_PENDING);
    ck_assert_uint_eq(count_files(), 0);
    writer_close(w);
    destroy(&c);
}
END_TEST

/* An old checkpoint that cannot be removed, because it is a directory, does not fail the save and
 * is reported. */
START_TEST(a_failed_rotation_is_reported)
{
    enter_folder();
    struct checkpoint c = make();
    struct save_report report;
    struct writer *w = open_writer(&c, true);
    ck_assert_int_eq(mkdir(in_folder("ckpt-0.h5"), 0700), 0);
    for (int i = 1; i <= 5; i++) {
        advance(&c);
        OK(writer_save(w, &c, SAVE_ROTATED | SAVE_BEST, -1, &err));
        ck_assert_int_eq(wait_for(w, &report), SAVE_DONE);
        ck_assert_uint_eq(report.written, SAVE_ROTATED | SAVE_BEST);
        ck_assert_int_eq(report.rotation_failed, i >= 3);
    }
    ck_assert_ptr_nonnull(strstr(report.err.text, "ckpt-0.h5: cannot be removed: "));
    writer_close(w);
    ck_assert_uint_eq(count_files(), 5); /* three, the best, and the directory */
    destroy(&c);
}
END_TEST

/* Weights that are not finite never displace those that are. */
START_TEST(non_finite_weights_are_not_saved)
{
    enter_folder();
    struct checkpoint c = make();
    struct save_report report;
    struct writer *w = open_writer(&c, true);
    advance(&c);
    OK(writer_save(w, &c, SAVE_ROTATED, -1, &err));
    ck_assert_int_eq(wait_for(w, &report), SAVE_DONE);
    for (int i = 0; i < 5; i++) {
        advance(&c);
        ((float *)c.v)[c.tensors->list[3].offset] = i % 2 ? NAN : INFINITY;
        OK(writer_save(w, &c, SAVE_ROTATED | SAVE_BEST, -1, &err));
        ck_assert_int_eq(wait_for(w, &report), SAVE_NOT_FINITE);
        ck_assert_ptr_nonnull(
            strstr(report.err.text,
                   "adamw/v/h.0.attn.c_attn.weight contains a number that is not finite"));
        ck_assert(!writer_can_retry(w));
    }
    writer_close(w);
    ck_assert_uint_eq(count_files(), 1);
    ck_holds(in_folder("ckpt-1.h5"), 1);
    destroy(&c);
}
END_TEST

/* Within a step there are gradients, which do not fit in the buffer: the save is written from the
 * arrays. */
START_TEST(a_save_within_a_step)
{
    enter_folder();
    struct checkpoint c = make();
    struct save_report report;
    OK(config_set(&c.config, "train.accumulate=2", &err));
    struct writer *w = open_writer(&c, true);
    advance(&c);
    c.grads = c.m;
    c.state.micro = 1;
    OK(writer_save(w, &c, SAVE_ROTATED, -1, &err));
    ck_assert_msg(writer_poll(w, &report) == SAVE_DONE, "%s", report.err.text);
    ck_holds(in_folder("ckpt-1.h5"), 1);
    advance(&c);
    c.grads = NULL;
    c.state.micro = 0;
    OK(writer_save(w, &c, SAVE_ROTATED, -1, &err));
    advance(&c);
    ck_assert_int_eq(wait_for(w, &report), SAVE_DONE);
    ck_holds(in_folder("ckpt-2.h5"), 2);
    writer_close(w);
    ck_assert_uint_eq(renamed, 2);
    destroy(&c);
}
END_TEST

SUITE("train/writer", a_save_holds_the_state_at_its_time, a_failure_is_reported_and_can_be_retried,
      targets_are_reported_separately, a_discarded_save_is_not_written,
      a_failed_rotation_is_reported, non_finite_weights_are_not_saved, a_save_within_a_step)
