/* test_corpus.c: directories of shards, and the writer that fills them. */
#include "data/corpus/corpus.h"
#include "data/split.h"
#include "tests/data_fixture.h"
#include <sys/inotify.h>

START_TEST(directories_are_locked_and_cleared)
{
    enter_folder();
    struct corpus_dir f, g;
    char deep[128], path[160];
    snprintf(deep, sizeof deep, "%s/a/b/c", folder);
    OK(corpus_dir_open(&f, deep, &err));
    ck_assert(f.created && !corpus_dir_is_taken(&f));
    FAILS(corpus_dir_open(&g, deep, &err), "another process is writing a corpus here");
    corpus_dir_close(&f, true);
    ck_assert_int_ne(access(deep, F_OK), 0);

    static const char *const OURS[] = {"train-00000.h5", "train-00012.h5", "val-00000.h5",
                                       "tokenizer.h5", ".val-00003.h5.0123ab.tmp"};
    static const char *const OTHERS[] = {"input.txt", "train-0.h5", "test-00000.h5",
                                         ".tokenizer.h5.swp", "x.tmp"};
    OK(corpus_dir_open(&f, deep, &err));
    for (size_t i = 0; i < 5; i++) {
        ck_assert(corpus_owns(OURS[i]) && !corpus_owns(OTHERS[i]));
        snprintf(path, sizeof path, "%s/%s", deep, OTHERS[i]);
        write_file(path, "x", 1);
    }
    ck_assert(!corpus_dir_is_taken(&f));
    for (size_t i = 5; i-- > 0;) {
        snprintf(path, sizeof path, "%s/%s", deep, OURS[i]);
        write_file(path, "x", 1);
        ck_assert_int_eq(corpus_dir_is_taken(&f),
                         i != 4); /* shards alone are the remains of a killed run */
    }
    OK(corpus_dir_clear(&f, &err));
    ck_assert(!corpus_dir_is_taken(&f));
    for (size_t i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "%s/%s", deep, OURS[i]);
        ck_assert_int_ne(access(path, F_OK), 0);
        snprintf(path, sizeof path, "%s/%s", deep, OTHERS[i]);
        ck_assert_int_eq(access(path, F_OK), 0);
    }
    corpus_dir_close(&f, true); /* not removed: it is not empty */
    ck_assert_int_eq(access(deep, F_OK), 0);
    write_file(in_folder("file"), "x", 1);
    FAILS(corpus_dir_open(&f, in_folder("file"), &err), "file: Not a directory");
    FAILS(corpus_dir_open(&f, in_folder("file/x"), &err), "file/x: cannot create this directory");
    FAILS(corpus_dir_open(&f, "", &err), "No such file");
    OK(corpus_dir_open(&f, "/", &err) == 0 || geteuid() != 0 ? 0 : -1);
    corpus_dir_close(&f, false);
    ck_assert(nothing_open());
}
END_TEST

static int read_nothing(void *context, uint64_t first, size_t n, uint32_t *ids, struct error *e)
{
    (void)context, (void)first, (void)n, (void)ids;
    return fail(e, "nothing to read");
}

START_TEST(writers_count_bytes)
{
    enter_folder();
    const uint32_t alphabet[] = {'a', 0xE9, 0x20AC, 0x1F600}; /* 1, 2, 3 and 4 bytes */
    struct tokenizer *t = tokenizer_create_char(alphabet, 4, &err);
    uint32_t ids[1000];
    uint64_t train = 0, val = 0;
    for (size_t i = 0; i < 1000; i++) {
        ids[i] = (uint32_t)random_below(4);
        *(i < 700 ? &train : &val) += ids[i] + 1;
    }
    struct corpus_plan plan = {folder, t, 700, 300, 99, false, 0, "[]", copy_tokens, ids};
    OK(corpus_write(&plan, &err));
    struct split *a = split_open(folder, "train", &err), *b = split_open(folder, "val", &err);
    ck_assert_msg(a && b, "%s", err.text);
    ck_assert_uint_eq(a->bytes, train);
    ck_assert_uint_eq(b->bytes, val);
    split_close(a), split_close(b);

    ck_assert_int_eq(unlink(in_folder("tokenizer.h5")), 0);
    plan.read = read_nothing;
    FAILS(corpus_write(&plan, &err), "nothing to read");
    FAILS(!split_open(folder, "train", &err), "tokenizer.h5: No such file");
    tokenizer_destroy(t);
    ck_assert(nothing_open());
}
END_TEST

/* The file has no name; if the process is killed before unlink, the next run removes it. */
START_TEST(temporary_files_are_leftovers)
{
    enter_folder();
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    const int watch = inotify_init1(IN_NONBLOCK);
    ck_assert(watch >= 0 && inotify_add_watch(watch, folder, IN_CREATE) >= 0);
    FILE *f = corpus_temporary_file(folder, &err);
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(count_files(), 0);
    ck_assert_int_gt(read(watch, events, sizeof events), 0);
    const char *name = ((const struct inotify_event *)events)->name;
    ck_assert_msg(corpus_owns(name), "%s", name);
    fclose(f);
    close(watch);
    FAILS(!corpus_temporary_file("/proc/handgrad", &err),
          "/proc/handgrad: cannot create a file in this directory: No such");
}
END_TEST

SUITE("data/corpus", directories_are_locked_and_cleared, writers_count_bytes,
      temporary_files_are_leftovers)
