/* test_split.c: the shards of a split are those of one text and one tokenizer, all of them, and
 * have a fingerprint. */
#include "data/split.h"
#include "tests/data_fixture.h"
#include <sys/stat.h>

static void copy_into_folder(const char *from, const char *to)
{
    size_t size;
    unsigned char *bytes = read_file(from, &size);
    write_file(in_folder(to), bytes, size);
    free(bytes);
}

static void ck_opens(void)
{
    struct split *s = split_open(folder, "train", &err);
    ck_assert_msg(s, "%s", err.text);
    split_close(s);
}

#define REFUSED(part) FAILS(!split_open(folder, "train", &err), part)

START_TEST(shards_that_do_not_belong_together)
{
    enter_folder();
    char other[96];
    snprintf(other, sizeof other, "%s/other", folder);
    ck_assert_int_eq(mkdir(other, 0777), 0);
    free(make_corpus(folder, 500, 450, 100)); /* train-00000 … 4, val-00000 */
    free(make_corpus(other, 500, 480, 100));  /* another text */
    ck_opens();

    ck_assert_int_eq(rename(in_folder("train-00002.h5"), in_folder("saved")), 0);
    REFUSED("train-00002.h5: No such file");
    copy_into_folder(in_folder("train-00001.h5"), "train-00002.h5");
    REFUSED("train-00002.h5: contains shard 1 of split train");
    copy_into_folder(in_folder("val-00000.h5"), "train-00002.h5");
    REFUSED("train-00002.h5: contains shard 0 of split val");
    copy_into_folder(in_folder("other/train-00002.h5"), "train-00002.h5");
    REFUSED("train-00002.h5: from another text, or another run of tokenize, than train-00000.h5");
    ck_assert_int_eq(rename(in_folder("saved"), in_folder("train-00002.h5")), 0);
    ck_opens();

    ck_assert_int_eq(rename(in_folder("train-00004.h5"), in_folder("saved")), 0);
    REFUSED("train-00000.h5: one of 5 shards of train, but 4 are present");
    ck_assert_int_eq(rename(in_folder("saved"), in_folder("train-00004.h5")), 0);

    struct tokenizer *t = tokenizer_create_char((uint32_t[]){'a', 'b'}, 2, &err);
    OK(tokenizer_save(t, in_folder("tokenizer.h5"), &err));
    tokenizer_destroy(t);
    REFUSED("train-00000.h5: made with another tokenizer (byte ");
    ck_assert_int_eq(unlink(in_folder("tokenizer.h5")), 0);
    REFUSED("tokenizer.h5: No such file");
    ck_assert(nothing_open());
}
END_TEST

START_TEST(fingerprints)
{
    enter_folder();
    random_state = 5;
    free(make_corpus(folder, 500, 450, 100));
    struct split *s = split_open(folder, "train", &err);
    char first[65];
    strcpy(first, s->fingerprint);
    ck_assert_uint_eq(strlen(first), 64);
    struct tokenizer *t = tokenizer_create_byte(&err);
    ck_assert_str_eq(s->tokenizer_fingerprint, t->fingerprint);
    tokenizer_destroy(t);
    ck_assert_str_eq(s->dir, folder);
    ck_assert_str_eq(s->name, "train");
    split_close(s);
    random_state = 5;
    free(make_corpus(folder, 500, 450, 100));
    s = split_open(folder, "train", &err);
    ck_assert_str_eq(s->fingerprint, first); /* the same tokens */
    split_close(s);
    free(make_corpus(folder, 500, 450, 100));
    s = split_open(folder, "train", &err);
    ck_assert_str_ne(s->fingerprint, first); /* others */
    split_close(s);
    ck_assert(nothing_open());
}
END_TEST

SUITE("data/split", shards_that_do_not_belong_together, fingerprints)
