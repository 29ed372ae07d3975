/* test_log.c: metrics that cannot be written are kept, and none is lost. */
#include "tests/limit_files.h"
#include "train/log.h"
#include <math.h>
#include <sys/stat.h>

static char *read_text(const char *path)
{
    static char text[4096];
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return text;
}

START_TEST(lines_are_kept_until_they_can_be_written)
{
    enter_folder();
    struct log l;
    OK(log_open(&l, folder, 0, 100, 1000, &err));
    struct step_metrics m = {.loss = 1.5, .grad_norm = NAN};
    size_t size[10] = {0};
    struct stat st;
    for (m.step = 1; m.step <= 9; m.step++) {
        if (m.step == 4)
            limit_files((rlim_t)size[3] + 20); /* part of the line fits, and is removed again */
        if (m.step == 7)
            limit_files(RLIM_INFINITY);
        log_step(&l, &m);
        if (m.step == 5)
            log_validation(&l, 5, 2.25, ""); /* extends the pending line */
        if (stat(in_folder("metrics.jsonl"), &st) == 0)
            size[m.step] = (size_t)st.st_size;
    }
    for (int step = 4; step < 7; step++)
        ck_assert_uint_eq(size[step], size[3]);
    log_validation(&l, 9, 2.5, ""); /* extends the written line */
    log_close(&l);
    const char *text = read_text(in_folder("metrics.jsonl")), *at = text;
    for (int step = 1; step <= 9; step++) {
        char start[32];
        snprintf(start, sizeof start, "{\"step\": %d,", step);
        ck_assert_msg(!strncmp(at, start, strlen(start)), "%s", text);
        const char *end = strchr(at, '\n'), *value = strstr(at, "\"val_loss\": 2.");
        ck_assert_int_eq(value && value < end, step == 5 || step == 9);
        at = end + 1;
    }
    ck_assert_int_eq(*at, 0);
    /* resuming after step 6 removes later lines, and its validation loss extends the old line */
    OK(log_open(&l, folder, 6, 100, 1000, &err));
    log_validation(&l, 6, 2.75, "");
    log_close(&l);
    text = read_text(in_folder("metrics.jsonl"));
    ck_assert(!strstr(text, "{\"step\": 7"));
    ck_assert_ptr_nonnull(
        strstr(strstr(text, "{\"step\": 6, \"tokens\""), "\"val_loss\": 2.75}\n"));
}
END_TEST

/* A rollback removes pending lines of later steps only; closing writes pending lines or reports
 * that it cannot. */
START_TEST(pending_lines_survive_a_rollback)
{
    enter_folder();
    struct log l;
    OK(log_open(&l, folder, 0, 100, 1000, &err));
    struct step_metrics m = {.loss = 1.5};
    for (m.step = 1; m.step <= 6; m.step++) {
        log_step(&l, &m);
        if (m.step == 2)
            limit_files((rlim_t)l.end);
    }
    const int cut = log_cut_after(&l, 4, &err);
    log_validation(&l, 4, 2.25, ""); /* extends the last line */
    limit_files(RLIM_INFINITY);
    OK(cut);
    log_close(&l);
    const char *text = read_text(in_folder("metrics.jsonl"));
    ck_assert_ptr_nonnull(strstr(text, "{\"step\": 3,"));
    ck_assert_ptr_nonnull(
        strstr(strstr(text, "{\"step\": 4, \"tokens\""), "\"val_loss\": 2.25}\n"));
    ck_assert(!strstr(text, "{\"step\": 5,"));

    OK(log_open(&l, folder, 4, 100, 1000, &err));
    limit_files((rlim_t)l.end);
    ck_assert_ptr_nonnull(freopen(in_folder("stderr"), "w", stderr));
    log_step(&l, &m);
    log_close(&l);
    limit_files(RLIM_INFINITY);
    fflush(stderr);
    ck_assert_ptr_nonnull(strstr(read_text(in_folder("stderr")), "lost"));
}
END_TEST

SUITE("train/log", lines_are_kept_until_they_can_be_written, pending_lines_survive_a_rollback)
