/* test_train_writer.c: checkpoints written while the run goes on: what is on the disk is the moment of the save, a failure is
 * told and leaves the file before, and the same save succeeds later. */
#include "../train/image.h"
#include "../train/log.h"
#include "../train/recent.h"
#include "../train/run_folder.h"
#include "../train/run_lock.h"
#include "../train/writer.h"
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct error err;
static char dir[64];
#define OK(call) ck_assert_msg((call) == 0, "%s", err.text)

static void enter_dir(void)
{
    strcpy(dir, "/tmp/handgrad-writer-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void leave_dir(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static char *in_dir(const char *name)
{
    static char paths[4][128];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static size_t count_files(void)
{
    DIR *d = opendir(dir);
    size_t n = 0;
    for (const struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.' || strlen(e->d_name) > 2;
    closedir(d);
    return n;
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

/* Every number of the run says which step it is. */
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
    struct writer *w = writer_open(dir, 3, buffer ? checkpoint_size(c) : 0, UINT64_MAX, &err);
    ck_assert_msg(w, "%s", err.text);
    return w;
}

/* The arrays change as soon as writer_save has returned. */
START_TEST(a_save_is_of_its_moment)
{
    for (int buffer = 0; buffer < 2; buffer++) {
        enter_dir();
        struct checkpoint c = make();
        struct save_report report;
        struct writer *w = open_writer(&c, buffer);
        for (int i = 0; i < 20; i++) {
            advance(&c);
            OK(writer_save(w, &c, i == 4 ? SAVE_ROTATED | SAVE_BEST : SAVE_ROTATED, -1, &err));
        }
        ck_assert_int_eq(wait_for(w, &report), SAVE_DONE);
        ck_assert_uint_eq(report.step, 20);
        ck_assert_int_eq(writer_poll(w, &report), SAVE_PENDING); /* told once */
        writer_close(w);
        ck_assert_uint_eq(count_files(), 4);
        ck_holds(in_dir("ckpt-18.h5"), 18);
        ck_holds(in_dir("ckpt-20.h5"), 20);
        ck_holds(in_dir("best.h5"), 5);
        destroy(&c);
        leave_dir();
    }
}
END_TEST

/* While files are limited nothing may be asserted: Check writes to one itself. */
static void limit_files(rlim_t size)
{
    signal(SIGXFSZ, SIG_IGN);
    const struct rlimit limit = {size, RLIM_INFINITY};
    setrlimit(RLIMIT_FSIZE, &limit);
}

START_TEST(a_failure_is_told_and_tried_again)
{
    for (int buffer = 0; buffer < 2; buffer++) {
        enter_dir();
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
        ck_assert_msg(strstr(report.err.text, "ckpt-2.h5: writing: File too large"), "%s", report.err.text);
        ck_assert_uint_eq(report.targets, SAVE_ROTATED | SAVE_BEST);
        ck_assert_uint_eq(count_files(), 1);
        ck_holds(in_dir("ckpt-1.h5"), 1);
        ck_assert_int_eq(writer_holds(w), buffer);
        advance(&c); /* training goes on */
        if (buffer) {
            writer_retry(w);
            ck_assert_int_eq(wait_for(w, &report), SAVE_DONE);
            ck_assert(!writer_holds(w));
            ck_holds(in_dir("ckpt-2.h5"), 2);
            ck_holds(in_dir("best.h5"), 2);
        }
        OK(writer_save(w, &c, SAVE_ROTATED, -1, &err));
        ck_assert_int_eq(wait_for(w, &report), SAVE_DONE);
        ck_holds(in_dir("ckpt-3.h5"), 3);
        writer_close(w);
        destroy(&c);
        leave_dir();
    }
}
END_TEST

/* A run that goes back forgets what could not be written. */
START_TEST(what_is_dropped_is_not_written)
{
    enter_dir();
    struct checkpoint c = make();
    struct save_report report;
    struct writer *w = open_writer(&c, true);
    advance(&c);
    limit_files(1000);
    const int status = writer_save(w, &c, SAVE_ROTATED, -1, &err);
    writer_wait(w);
    limit_files(RLIM_INFINITY);
    OK(status);
    ck_assert(writer_holds(w));
    writer_drop(w);
    ck_assert(!writer_holds(w));
    writer_retry(w);
    ck_assert_int_eq(wait_for(w, &report), SAVE_PENDING);
    ck_assert_uint_eq(count_files(), 0);
    writer_close(w);
    destroy(&c);
    leave_dir();
}
END_TEST

/* An old checkpoint that cannot be removed (here: a folder of its name) fails no save, and is told. */
START_TEST(what_cannot_be_removed_stays)
{
    enter_dir();
    struct checkpoint c = make();
    struct save_report report;
    struct writer *w = open_writer(&c, true);
    ck_assert_int_eq(mkdir(in_dir("ckpt-0.h5"), 0700), 0);
    for (int i = 1; i <= 5; i++) {
        advance(&c);
        OK(writer_save(w, &c, SAVE_ROTATED | SAVE_BEST, -1, &err));
        ck_assert_int_eq(wait_for(w, &report), SAVE_DONE);
        ck_assert_uint_eq(report.targets, SAVE_ROTATED | SAVE_BEST);
        ck_assert_int_eq(report.unrotated, i >= 3);
    }
    ck_assert_ptr_nonnull(strstr(report.err.text, "ckpt-0.h5: cannot be removed: "));
    writer_close(w);
    ck_assert_uint_eq(count_files(), 5); /* three, the best, and the folder */
    destroy(&c);
    leave_dir();
}
END_TEST

/* Weights that are not finite never push out those that are. */
START_TEST(what_is_not_finite_is_not_saved)
{
    enter_dir();
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
        ck_assert_ptr_nonnull(strstr(report.err.text, "adamw/v/h.0.attn.c_attn.weight holds a number that is not finite"));
        ck_assert(!writer_holds(w));
    }
    writer_close(w);
    ck_assert_uint_eq(count_files(), 1);
    ck_holds(in_dir("ckpt-1.h5"), 1);
    destroy(&c);
    leave_dir();
}
END_TEST

/* A step in hand has gradients, for which the buffer has no room: it is written from where it is. */
START_TEST(a_step_in_hand_is_saved_too)
{
    enter_dir();
    struct checkpoint c = make();
    struct save_report report;
    OK(config_set(&c.config, "train.accumulate=2", &err));
    struct writer *w = open_writer(&c, true);
    advance(&c);
    c.grads = c.m;
    c.state.micro = 1;
    OK(writer_save(w, &c, SAVE_ROTATED, -1, &err));
    ck_assert_int_eq(writer_poll(w, &report), SAVE_DONE);
    ck_holds(in_dir("ckpt-1.h5"), 1);
    advance(&c);
    c.grads = NULL;
    c.state.micro = 0;
    OK(writer_save(w, &c, SAVE_ROTATED, -1, &err));
    advance(&c);
    ck_assert_int_eq(wait_for(w, &report), SAVE_DONE);
    ck_holds(in_dir("ckpt-2.h5"), 2);
    writer_close(w);
    destroy(&c);
    leave_dir();
}
END_TEST

/* --- the lock --- */

/* A process that takes the lock and says so, and then waits to be killed; or ends at once, without giving it back. */
static pid_t hold_lock(bool stay)
{
    int ready[2];
    ck_assert_int_eq(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
        struct run_lock lock;
        const char taken = run_lock_take(&lock, dir, NULL) == 0;
        if (write(ready[1], &taken, 1) != 1)
            _exit(1);
        while (stay)
            pause();
        _exit(0);
    }
    char taken = 0;
    ck_assert_int_eq(read(ready[0], &taken, 1), 1);
    ck_assert_int_eq(taken, 1);
    close(ready[0]);
    close(ready[1]);
    return child;
}

START_TEST(one_run_in_a_folder)
{
    enter_dir();
    struct run_lock lock;
    char expected[160], host[64] = "";
    const pid_t owner = hold_lock(true);
    gethostname(host, sizeof host - 1);
    ck_assert_int_eq(run_lock_take(&lock, dir, &err), -1);
    snprintf(expected, sizeof expected, "/lock: process %d on host %s is running here", (int)owner, host);
    ck_assert_msg(strstr(err.text, expected), "%s", err.text);
    ck_assert_int_eq(lock.fd, -1);
    kill(owner, SIGKILL);
    waitpid(owner, NULL, 0);
    OK(run_lock_take(&lock, dir, &err)); /* of one that was killed */
    run_lock_release(&lock);
    ck_assert_uint_eq(count_files(), 0);
    waitpid(hold_lock(false), NULL, 0);
    /* The number is that of a living process by now: of no meaning, since the kernel holds nothing. */
    FILE *f = fopen(in_dir("lock"), "w");
    fprintf(f, "process %d on host %s\n", (int)getppid(), host);
    fclose(f);
    OK(run_lock_take(&lock, dir, &err));
    run_lock_release(&lock);
    leave_dir();
    ck_assert_int_eq(run_lock_take(&lock, dir, &err), -1);
}
END_TEST

/* --- metrics that the disk does not take --- */

static char *read_text(const char *path)
{
    static char text[4096];
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return text;
}

START_TEST(metrics_wait_for_the_disk)
{
    enter_dir();
    struct log l;
    OK(log_open(&l, dir, 0, 100, 1000, &err));
    struct step_metrics m = {.loss = 1.5, .grad_norm = NAN};
    size_t size[10] = {0};
    struct stat st;
    for (m.step = 1; m.step <= 9; m.step++) {
        if (m.step == 4)
            limit_files((rlim_t)size[3] + 20); /* a part of the line fits, and is taken back */
        if (m.step == 7)
            limit_files(RLIM_INFINITY);
        log_step(&l, &m);
        if (m.step == 5)
            log_validation(&l, 5, 2.25); /* joins the line that waits */
        if (stat(in_dir("metrics.jsonl"), &st) == 0)
            size[m.step] = (size_t)st.st_size;
    }
    for (int step = 4; step < 7; step++)
        ck_assert_uint_eq(size[step], size[3]);
    log_validation(&l, 9, 2.5); /* joins the line that is written */
    log_close(&l);
    const char *text = read_text(in_dir("metrics.jsonl")), *at = text;
    for (int step = 1; step <= 9; step++) {
        char start[32];
        snprintf(start, sizeof start, "{\"step\": %d,", step);
        ck_assert_msg(!strncmp(at, start, strlen(start)), "%s", text);
        const char *end = strchr(at, '\n'), *value = strstr(at, "\"val_loss\": 2.");
        ck_assert_int_eq(value && value < end, step == 5 || step == 9);
        at = end + 1;
    }
    ck_assert_int_eq(*at, 0);
    /* going on after step 6 cuts the rest off, and its validation joins the line of then */
    OK(log_open(&l, dir, 6, 100, 1000, &err));
    log_validation(&l, 6, 2.75);
    log_close(&l);
    text = read_text(in_dir("metrics.jsonl"));
    ck_assert(!strstr(text, "{\"step\": 7"));
    ck_assert_ptr_nonnull(strstr(strstr(text, "{\"step\": 6, \"tokens\""), "\"val_loss\": 2.75}\n"));
    leave_dir();
}
END_TEST

/* --- the losses before --- */

START_TEST(limit_of_recent_losses)
{
    struct recent r = {0}, s;
    char text[RECENT_TEXT];
    for (int i = 0; i < RECENT_MIN; i++) {
        ck_assert(recent_limit(&r, 10) == INFINITY);
        recent_add(&r, 2 + 0.1 * (i % 3)); /* median 2.1, deviations 0.1 and 0: the median of them 0.1 */
    }
    ck_assert_double_eq_tol(recent_limit(&r, 10), 2.1 + 10 * 1.4826 * 0.1, 1e-12);
    recent_add(&r, 1e30); /* an outlier moves it by little */
    ck_assert_double_eq_tol(recent_limit(&r, 10), 2.1 + 10 * 1.4826 * 0.1, 1e-12);
    for (int i = 0; i < 3 * RECENT_MAX + 7; i++) {
        ck_assert_int_eq(recent_parse(&s, recent_text(&r, text)), 0);
        ck_assert(strlen(text) < RECENT_TEXT);
        for (size_t k = 0; k < 5; k++)
            recent_add(&s, 1 / (double)(k + 1));
        recent_add(&r, 4 + 1e-3 * i);
        ck_assert_int_eq(recent_parse(&s, recent_text(&r, text)), 0);
        ck_assert_mem_eq(&r, &s, sizeof r);
    }
    for (int i = 0; i < RECENT_MAX; i++)
        recent_add(&r, 3);
    ck_assert_double_eq_tol(recent_limit(&r, 10), 3 + 10 * 0.03, 1e-12); /* losses that do not differ */
    static const char *const wrong[] = {
        "", "x", "1", "1 nan", "1 0x1p+1 0x1p+1", "2 0x1p+1", "1  ", "-1", "99999999999999999999 0x1p1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(recent_parse(&s, wrong[i]) == -1, "\"%s\"", wrong[i]);
}
END_TEST

SUITE("train/writer", a_save_is_of_its_moment, a_failure_is_told_and_tried_again, what_is_dropped_is_not_written,
      what_cannot_be_removed_stays, what_is_not_finite_is_not_saved, a_step_in_hand_is_saved_too, one_run_in_a_folder,
      metrics_wait_for_the_disk, limit_of_recent_losses)
