/* test_rotation.c: finding the newest valid checkpoint of a directory, and removing old ones. */
#include "tests/checkpoint_fixture.h"
#include "train/checkpoint/run_directory.h"

static void write_steps(const uint64_t *steps, size_t n)
{
    char path[RUN_PATH_MAX];
    for (size_t i = 0; i < n; i++)
        write_step(steps[i], checkpoint_path(path, folder, steps[i]));
}

static void ck_newest(const char *name)
{
    char path[RUN_PATH_MAX];
    if (checkpoint_newest(path, folder, false, &err))
        ck_abort_msg("%s", err.text);
    ck_assert_str_eq(path, in_folder(name));
}

START_TEST(the_newest_valid_checkpoint)
{
    enter_folder();
    char path[RUN_PATH_MAX];
    ck_assert_int_eq(checkpoint_newest(path, folder, false, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.text, "expected a checkpoint ckpt-STEP.h5, found none"));
    write_steps((const uint64_t[]){9, 10, 100}, 3);
    write_file(in_folder("ckpt-1000.h5.tmp"), "x", 1);
    write_file(in_folder("ckpt-x.h5"), "x", 1);
    write_file(in_folder("ckpt-.h5"), "x", 1);
    write_file(in_folder("ckpt-99999999999999999999.h5"), "x", 1);
    write_file(in_folder("best.h5"), "x", 1);
    ck_newest("ckpt-100.h5");
    FILE *stderr_file = freopen(in_folder("stderr"), "w", stderr);
    ck_assert_ptr_nonnull(stderr_file);
    ck_assert_int_eq(truncate(in_folder("ckpt-100.h5"), 3000), 0);
    ck_newest("ckpt-10.h5");
    fflush(stderr);
    size_t n;
    unsigned char *said = read_file(in_folder("stderr"), &n);
    said[n] = 0;
    ck_assert_ptr_nonnull(strstr((char *)said, "handgrad: skipping "));
    ck_assert_ptr_nonnull(strstr((char *)said, "/ckpt-100.h5: truncated: "));
    free(said);
    ck_assert_int_eq(truncate(in_folder("ckpt-10.h5"), 0), 0);
    ck_assert_int_eq(truncate(in_folder("ckpt-9.h5"), 700), 0);
    ck_assert_int_eq(checkpoint_newest(path, folder, false, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.text, "none of its 3 checkpoints can be used"));
    remove_folder();
    ck_assert_int_eq(checkpoint_newest(path, folder, false, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.text, "No such file or directory"));
}
END_TEST

START_TEST(rotation_keeps_the_newest)
{
    struct verified v = {0};
    enter_folder();
    write_steps((const uint64_t[]){8, 9, 10, 11, 100}, 5);
    write_file(in_folder("best.h5"), "x", 1);
    write_file(in_folder("ckpt-best.h5"), "x", 1);
    write_file(in_folder(".ckpt-12.h5.0a1b2c.tmp"), "x", 1); /* left by a killed process */
    write_file(in_folder(".notes.h5.tmp"), "x", 1);
    ck_assert_int_eq(checkpoint_rotate(folder, 3, 100, &v, &err), 0);
    ck_assert_uint_eq(count_files(), 6);
    ck_assert(!access(in_folder("ckpt-10.h5"), F_OK) && !access(in_folder("ckpt-11.h5"), F_OK) &&
              !access(in_folder("ckpt-100.h5"), F_OK));
    ck_assert(!access(in_folder(".notes.h5.tmp"), F_OK));
    ck_assert_int_eq(checkpoint_rotate(folder, 3, 100, &v, &err), 0);
    ck_assert_uint_eq(count_files(), 6);
    ck_assert_int_eq(checkpoint_rotate(folder, 0, 100, &v, &err),
                     0); /* the last one is always kept */
    ck_assert_uint_eq(count_files(), 4);
    ck_newest("ckpt-100.h5");
    remove_folder();
    ck_assert_int_eq(checkpoint_rotate(folder, 3, 100, &v, &err), -1);
    verified_clear(&v);
}
END_TEST

/* A damaged file does not count and does not displace a valid one. */
START_TEST(rotation_counts_valid_files)
{
    struct verified v = {0};
    enter_folder();
    write_steps((const uint64_t[]){8, 9, 10, 11, 12}, 5);
    ck_assert_int_eq(truncate(in_folder("ckpt-12.h5"), 9000), 0);
    flip_bits(in_folder("ckpt-10.h5"), 5000, 16);
    ck_assert_int_eq(checkpoint_rotate(folder, 2, 12, &v, &err), 0); /* 11 and 9 are valid */
    ck_assert_uint_eq(count_files(), 4);
    ck_assert(access(in_folder("ckpt-8.h5"), F_OK));
    ck_newest("ckpt-11.h5");
    write_steps((const uint64_t[]){13}, 1);
    ck_assert_int_eq(verified_add(&v, 13), 0);
    ck_assert_int_eq(checkpoint_rotate(folder, 2, 13, &v, &err),
                     0); /* the damaged 12 is newer than the second valid one */
    ck_assert_uint_eq(count_files(), 3);
    ck_assert(!access(in_folder("ckpt-11.h5"), F_OK) && !access(in_folder("ckpt-12.h5"), F_OK));
    flip_bits(in_folder("ckpt-13.h5"), 5000, 16);
    flip_bits(in_folder("ckpt-11.h5"), 5000, 16);
    verified_clear(&v);
    ck_assert_int_eq(checkpoint_rotate(folder, 2, 13, &v, &err),
                     0); /* without a valid file, all are kept */
    ck_assert_uint_eq(count_files(), 3);
    ck_assert_int_eq(checkpoint_drop_after(folder, 11, &err), 0);
    ck_assert_uint_eq(count_files(), 1);
    verified_clear(&v);
}
END_TEST

/* Later checkpoints, of another run or skipped when the run resumed, are neither counted nor
 * removed. */
START_TEST(rotation_ignores_later_steps)
{
    struct verified v = {0};
    enter_folder();
    write_steps((const uint64_t[]){7, 8, 9, 10, 80, 90, 100}, 7);
    ck_assert_int_eq(checkpoint_rotate(folder, 2, 8, &v, &err), 0);
    ck_assert_uint_eq(count_files(), 7);
    ck_assert_int_eq(checkpoint_rotate(folder, 2, 10, &v, &err), 0);
    ck_assert_uint_eq(count_files(), 5);
    ck_assert(!access(in_folder("ckpt-9.h5"), F_OK) && !access(in_folder("ckpt-10.h5"), F_OK));
    verified_clear(&v);
}
END_TEST

SUITE("train/rotation", the_newest_valid_checkpoint, rotation_keeps_the_newest,
      rotation_counts_valid_files, rotation_ignores_later_steps)
