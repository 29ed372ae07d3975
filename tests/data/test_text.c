/* test_text.c: texts as streams of whole characters; the folder of a corpus, and who may write to it. */
#include "base/utf8.h"
#include "data/split.h"
#include "data/text.h"
#include "tests/data_fixture.h"
#include <cjson/cJSON.h>
#include <sys/stat.h>

/* Random valid text of about n bytes. */
static char *random_text(size_t n, size_t *length)
{
    static const uint32_t SAMPLES[] = {'a',   ' ',    '\n',   0,      0x7F,    0xE9,
                                       0x7FF, 0x20AC, 0xD7FF, 0xFFFD, 0x1F600, 0x10FFFF};
    char *text = malloc(n + 4);
    size_t i = 0;
    while (i < n)
        i += utf8_encode(SAMPLES[random_below(sizeof SAMPLES / sizeof *SAMPLES)], text + i);
    *length = i;
    return text;
}

/* Puts the pieces together again, and checks each. */
struct gathered {
    char *bytes;
    size_t n, size, pieces;
};
static int gather(void *context, const struct text_file *file, const char *piece, size_t n,
                  uint64_t offset, struct error *e)
{
    struct gathered *g = context;
    EXPECT(n <= TEXT_PIECE);
    if (n == 0) /* the end of a file */
        return 0;
    if (g->n + n > g->size)
        return fail(e, "%s: longer than expected at byte %zu", file->path, (size_t)offset);
    EXPECT(((uint8_t)piece[0] & 0xC0) != 0x80 && utf8_complete(piece, n) == n);
    memcpy(g->bytes + g->n, piece, n);
    g->n += n;
    g->pieces++;
    return 0;
}

START_TEST(texts_come_back_in_whole_characters)
{
    enter_folder();
    static const size_t SIZES[] = {
        0, 1, 1000, TEXT_PIECE - 1, TEXT_PIECE, TEXT_PIECE + 1, 3 * TEXT_PIECE + 5};
    enum { FILES = 7 };
    struct text t = {0};
    struct gathered g = {.bytes = malloc(8 * TEXT_PIECE), .size = 8 * TEXT_PIECE};
    char *expected = malloc(8 * TEXT_PIECE);
    size_t total = 0;
    for (size_t i = 0; i < FILES; i++) {
        char name[16];
        size_t n;
        char *text = random_text(SIZES[i], &n);
        snprintf(name, sizeof name, "%zu.txt", i);
        write_file(in_folder(name), text, n);
        memcpy(expected + total, text, n);
        total += n;
        free(text);
    }
    OK(text_add(&t, folder, NULL, &err));
    ck_assert_uint_eq(t.n, FILES);
    for (int reading = 0; reading < 2; reading++) {
        g.n = g.pieces = 0;
        OK(text_read(&t, gather, &g, &err));
        ck_assert_uint_eq(g.n, total);
        ck_assert(memcmp(g.bytes, expected, total) == 0);
    }
    char *json = text_json(&t);
    cJSON *list = cJSON_Parse(json);
    ck_assert_int_eq(cJSON_GetArraySize(list), FILES);
    const cJSON *first = cJSON_GetArrayItem(list, 0);
    ck_assert_str_eq(cJSON_GetObjectItem(first, "path")->valuestring, t.files[0].path);
    ck_assert_str_eq(
        cJSON_GetObjectItem(first, "sha256")->valuestring,
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"); /* of nothing */
    cJSON_Delete(list);
    free(json), free(expected), free(g.bytes);
    text_free(&t);
    ck_assert(nothing_open());
}
END_TEST

/* The offset is that of the first byte that belongs to no character, also across pieces. */
START_TEST(invalid_bytes_are_named)
{
    enter_folder();
    const char *path = in_folder("text");
    const size_t n = TEXT_PIECE + 1000;
    struct gathered g = {.bytes = malloc(2 * TEXT_PIECE), .size = 2 * TEXT_PIECE};
    char *text = malloc(n);
    static const struct {
        const char *bytes, *says;
    } CASES[] = {
        {"\xFF", "0xFF does not begin a valid"},     {"\xC0\x80", "0xC0 does not begin a valid"},
        {"\xE2\x82", "0xE2 does not begin a valid"}, {"\xED\xA0\x80", "0xED does not begin"},
        {"\x80", "0x80 does not begin a valid"},     {"\xF2\xEB\x80\x80", "0xF2 does not begin a valid"}};
    for (size_t i = 0; i < 60; i++) {
        const size_t c = i % 6, length = strlen(CASES[c].bytes);
        const size_t at = i < 30 ? TEXT_PIECE - i / 6 : random_below(n - 4);
        memset(text, 'x', n);
        memcpy(text + at, CASES[c].bytes, length);
        write_file(path, text, n);
        struct text t = {0};
        char expected[64];
        snprintf(expected, sizeof expected, "text: byte %zu: %s", at, CASES[c].says);
        OK(text_add(&t, path, NULL, &err));
        g.n = 0;
        FAILS(text_read(&t, gather, &g, &err), expected);
        text_free(&t);
    }
    memset(text, 'x', n);
    memcpy(text + n - 3, "\xF0\x9F\x98", 3);
    write_file(path, text, n);
    struct text t = {0};
    OK(text_add(&t, path, NULL, &err));
    g.n = 0;
    FAILS(text_read(&t, gather, &g, &err), "byte 1049573: the file ends inside a UTF-8 character");
    text_free(&t);
    free(text), free(g.bytes);
    ck_assert(nothing_open());
}
END_TEST

START_TEST(a_changed_file_is_noticed)
{
    enter_folder();
    const char *path = in_folder("text");
    static const char *const CHANGES[] = {"hellp", "hell", "hello!", "", "hel\xFFo"};
    for (size_t i = 0; i < sizeof CHANGES / sizeof *CHANGES; i++) {
        char buffer[16];
        struct gathered g = {.bytes = buffer, .size = sizeof buffer};
        struct text t = {0};
        write_file(path, "hello", 5);
        OK(text_add(&t, path, NULL, &err));
        OK(text_read(&t, gather, &g, &err));
        g.n = 0;
        OK(text_read(&t, gather, &g, &err));
        write_file(path, CHANGES[i], strlen(CHANGES[i]));
        g.n = 0;
        FAILS(text_read(&t, gather, &g, &err), "text: changed between two readings");
        unlink(path);
        FAILS(text_read(&t, gather, &g, &err), "text: No such file");
        text_free(&t);
    }
    ck_assert(nothing_open());
}
END_TEST

static bool ends_in_h5(const char *name)
{
    const size_t n = strlen(name);
    return n > 3 && strcmp(name + n - 3, ".h5") == 0;
}

START_TEST(which_files)
{
    enter_folder();
    static const char *const FILES[] = {"b.txt", "a.txt",        "B.txt",        ".hidden", "c/z",
                                        "c/.x",  "out/train.h5", "out/more.txt", "c.txt"};
    static const char *const EXPECTED[] = {"B.txt", "a.txt", "b.txt",
                                           "c/z",   "c.txt", "out/more.txt"};
    mkdir(in_folder("c"), 0777), mkdir(in_folder("out"), 0777), mkdir(in_folder("empty"), 0777),
        mkdir(in_folder(".git"), 0777);
    write_file(in_folder(".git/config"), "x", 1);
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++)
        write_file(in_folder(FILES[i]), "x", 1);
    ck_assert_int_eq(symlink("a.txt", in_folder("link")), 0);
    ck_assert_int_eq(symlink("..", in_folder("c/up")), 0);
    ck_assert_int_eq(mkfifo(in_folder("pipe"), 0666), 0);
    struct text_outputs outputs = {.is_output = ends_in_h5};
    ck_assert_int_eq(stat(in_folder("out"), &outputs.dir), 0);
    struct text t = {0};
    OK(text_add(&t, folder, &outputs, &err));
    ck_assert_uint_eq(t.n, 6);
    for (size_t i = 0; i < 6; i++)
        ck_assert_str_eq(t.files[i].path + strlen(folder) + 1, EXPECTED[i]);
    text_free(&t);
    OK(text_add(&t, in_folder("link"), &outputs, &err)); /* named, a link is followed */
    OK(text_add(&t, in_folder(".hidden"), &outputs, &err));
    ck_assert_uint_eq(t.n, 2);
    FAILS(text_add(&t, in_folder("out/train.h5"), &outputs, &err),
          "tokenize would overwrite this file");
    FAILS(text_add(&t, in_folder("pipe"), &outputs, &err),
          "neither a regular file nor a directory");
    FAILS(text_add(&t, in_folder("empty"), &outputs, &err), "no files in this directory");
    FAILS(text_add(&t, in_folder("none"), &outputs, &err), "none: No such file");
    FAILS(text_add(&t, "", &outputs, &err), "No such file");
    text_free(&t);
    ck_assert(nothing_open());
}
END_TEST

START_TEST(the_folder_of_a_corpus)
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
        ck_assert_int_eq(corpus_dir_is_taken(&f), i != 4); /* what a kill left takes no place */
    }
    OK(corpus_dir_clear(&f, &err));
    ck_assert(!corpus_dir_is_taken(&f));
    for (size_t i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "%s/%s", deep, OURS[i]);
        ck_assert_int_ne(access(path, F_OK), 0);
        snprintf(path, sizeof path, "%s/%s", deep, OTHERS[i]);
        ck_assert_int_eq(access(path, F_OK), 0);
    }
    corpus_dir_close(&f, true); /* not empty: it stays */
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

/* Bytes of text, shard by shard, and what a writer promises. */
START_TEST(a_corpus_counts_its_bytes)
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
    const struct corpus_plan plan = {folder, t, 700, 300, 99, false, "[]"};
    struct corpus_writer *w = corpus_writer_create(&plan, &err);
    OK(corpus_writer_append(w, ids, 1000, &err));
    FAILS(corpus_writer_append(w, ids, 1, &err), "more tokens than were counted");
    OK(corpus_writer_finish(w, &err));
    struct split *a = split_open(folder, "train", &err), *b = split_open(folder, "val", &err);
    ck_assert_msg(a && b, "%s", err.text);
    ck_assert_uint_eq(a->bytes, train);
    ck_assert_uint_eq(b->bytes, val);
    split_close(a), split_close(b);

    ck_assert_int_eq(unlink(in_folder("tokenizer.h5")), 0);
    w = corpus_writer_create(&plan, &err);
    OK(corpus_writer_append(w, ids, 999, &err));
    FAILS(corpus_writer_finish(w, &err), "fewer tokens than were counted");
    FAILS(!split_open(folder, "train", &err), "tokenizer.h5: No such file");
    tokenizer_destroy(t);
    ck_assert(nothing_open());
}
END_TEST

SUITE("data/text", texts_come_back_in_whole_characters, invalid_bytes_are_named,
      a_changed_file_is_noticed, which_files, the_folder_of_a_corpus, a_corpus_counts_its_bytes)
