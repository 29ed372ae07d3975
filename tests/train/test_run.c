/* test_run.c: the files and messages of a run when it starts, ends, or cannot save. */
#include "tests/trainer_fixture.h"
#include "train/checkpoint/image.h"
#include "train/run.h"
#include "train/run_save.h"
#include <fcntl.h>
#include <sys/stat.h>

/* The run of the fixture, saved and evaluated after every step. */
static struct config every_step(void)
{
    struct config c = small();
    c.train.eval_every = c.train.checkpoint_every = 1;
    c.train.eval_tokens = 32;
    c.train.sample_tokens = 0;
    return c;
}

static const char *run_dir(void)
{
    return in_folder("run");
}

static int open_run(struct run *r, const struct config *c, bool resumes)
{
    return run_open(r, c, &(struct run_plan){run_dir(), resumes, NULL, &nothing}, &err);
}

/* Opens a run, trains up to a step, and closes it, like one command. */
static void run_to(const struct config *c, bool resumes, uint64_t stop_at)
{
    struct run r;
    OK(open_run(&r, c, resumes));
    OK(run_train(&r, stop_at, &err));
    run_close(&r);
}

static bool is_there(const char *name)
{
    return access(in_folder(name), F_OK) == 0;
}

/* Of equal losses, the first is the best. */
START_TEST(the_first_of_equal_losses_is_best)
{
    make_data(STREAM);
    struct config c = every_step();
    c.optim.lr = c.optim.min_lr = c.optim.weight_decay = 0;
    struct run r;
    OK(open_run(&r, &c, false));
    OK(run_train(&r, 3, &err));
    ck_assert_uint_eq(r.trainer.state.best_step, 1);
    ck_assert_uint_eq(r.trainer.state.evals_since_best, 2);
    run_close(&r);
}
END_TEST

/* Existing checkpoints would be confused with those of the new run, except for ckpt-0.h5 of a run
 * that was killed while it started. */
START_TEST(a_new_run_needs_a_directory_without_checkpoints)
{
    make_data(STREAM);
    const struct config c = every_step();
    struct run r;
    run_to(&c, false, 1);
    OK(unlink(in_folder("run/config.ini")));
    FAILS(open_run(&r, &c, false),
          "run/ckpt-1.h5: belongs to another run, whose config.ini is missing");
    OK(unlink(in_folder("run/ckpt-1.h5")));
    run_to(&c, false, 1);
    ck_assert(is_there("run/ckpt-0.h5") && is_there("run/ckpt-1.h5"));
}
END_TEST

/* The validation split is truncated during the run. */
START_TEST(unreadable_data_loses_no_step)
{
    make_data(STREAM);
    struct config c = every_step();
    struct run r;
    c.train.checkpoint_every = 0;
    c.train.eval_every = 3;
    OK(open_run(&r, &c, false));
    OK(truncate(in_folder("data/val-00000.h5"), 2048));
    FAILS(run_train(&r, STEPS, &err), "data/val-00000.h5");
    run_close(&r);
    ck_assert(is_there("run/ckpt-3.h5"));
}
END_TEST

/* Tokenizes another text with the same characters. */
static void make_other_data(const char *text, const char *data)
{
    char tokenizer[160];
    snprintf(tokenizer, sizeof tokenizer, "%s", in_folder("data/tokenizer.h5"));
    static const char numbers[] =
        "0 squared is 0\n1 squared is 1\n2 squared is 4\n3 squared is 9\n4 squared is 16\n";
    write_file(text, numbers, sizeof numbers - 1);
    char *argv[] = {"handgrad tokenize", (char *)text, "-o", (char *)data,
                    "--tokenizer",       tokenizer,    NULL};
    ck_assert_int_eq(command_run(command_tokenize, 6, argv), 0);
}

/* What was allowed once needs no --allow later, even if the run ends before its next step. */
START_TEST(a_change_is_allowed_once)
{
    static const char *const allowed[] = {"lr", "data"};
    for (int i = 0; i < 2; i++) {
        make_data(STREAM);
        make_other_data(in_folder("other.txt"), in_folder("other"));
        struct config c = every_step();
        struct allowed a = {0};
        struct run r;
        run_to(&c, false, 2);
        if (i)
            ck_assert_int_eq(renameat2(AT_FDCWD, in_folder("data"), AT_FDCWD, in_folder("other"),
                                       RENAME_EXCHANGE),
                             0);
        else
            OK(config_set(&c, "optim.lr=0.5", &err));
        OK(allow(&a, allowed[i], &err));
        OK(run_open(&r, &c, &(struct run_plan){run_dir(), true, NULL, &a}, &err));
        run_close(&r);
        OK(config_load(&c, in_folder("run/config.ini"), &err));
        run_to(&c, true, 3);
    }
}
END_TEST

/* Saves a step as the best, which fails until a directory of that name is removed. Meanwhile
 * training may continue. */
static void save_best_late(bool buffer, bool continues, struct run *r)
{
    const struct config c = every_step();
    OK(open_run(r, &c, false));
    if (!buffer) {
        writer_close(r->writer);
        r->writer = writer_open(r->dir, 3, 0, 0, &err);
    }
    ck_assert_int_eq(mkdir(in_folder("run/best.h5"), 0700), 0);
    advance(&r->trainer, 2 * ACCUMULATE);
    r->trainer.state.best_step = 2;
    run_save(r, SAVE_ROTATED | SAVE_BEST);
    writer_wait(r->writer);
    run_poll_saves(r);
    writer_wait(r->writer);
    ck_assert_str_eq(r->trainer.last_checkpoint, in_folder("run/ckpt-2.h5"));
    ck_assert_int_eq(rmdir(in_folder("run/best.h5")), 0);
    advance(&r->trainer, continues ? ACCUMULATE : 1);
    for (int i = 0; i < 3; i++) { /* reports, retries, reports */
        r->retry_at = 0;
        run_poll_saves(r);
        writer_wait(r->writer);
    }
}

/* The best weights are saved late if the writer's copy or the run itself still has them; otherwise
 * their loss is reported. */
START_TEST(the_best_is_saved_late_or_reported_lost)
{
    /* gcc 12's AddressSanitizer does not handle the locks of its allocator in fork: a child of a
     * process with threads may hang. */
#ifdef __SANITIZE_ADDRESS__
    return;
#endif
    for (int i = 0; i < 4; i++) {
        const bool buffer = i & 1, continues = i & 2, lost = continues && !buffer;
        struct run r;
        uint64_t step = 0;
        size_t n;
        make_data(STREAM);
        ck_assert_ptr_nonnull(freopen(in_folder("stderr"), "w", stderr));
        save_best_late(buffer, continues, &r);
        ck_assert_uint_eq(r.failures, 0);
        ck_assert_int_eq(image_step(in_folder("run/best.h5"), &step, &err), lost ? -1 : 0);
        ck_assert_uint_eq(step, lost ? 0 : 2);
        run_close(&r);
        ck_assert(!is_there("run/ckpt-3.h5"));
        fflush(stderr);
        unsigned char *text = read_file(in_folder("stderr"), &n);
        text[n] = 0;
        ck_assert_ptr_nonnull(strstr((char *)text, "run/ckpt-2.h5\n"));
        ck_assert_ptr_null(strstr((char *)text, "ckpt-0.h5"));
        ck_assert_int_eq(strstr((char *)text, "best.h5 could not be saved") != NULL, lost);
        free(text);
    }
}
END_TEST

SUITE("train/run", a_new_run_needs_a_directory_without_checkpoints, unreadable_data_loses_no_step,
      a_change_is_allowed_once, the_best_is_saved_late_or_reported_lost,
      the_first_of_equal_losses_is_best)
