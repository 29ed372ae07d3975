/* test_text.c: text files are found, read in complete characters, and checked for changes. */
#include "base/utf8.h"
#include "data/text.h"
#include "tests/data_fixture.h"
#include <cjson/cJSON.h>
#include <sys/stat.h>

/* Random valid text of about n bytes. */
static char *random_text(size_t n, size_t *length)
{
    static const uint32_t SAMPLES[] = {'a',   ' ',    '\n',   1,      0x7F,    0xE9,
                                       0x7FF, 0x20AC, 0xD7FF, 0xFFFD, 0x1F600, 0x10FFFF};
    char *text = malloc(n + 4);
    size_t i = 0;
    while (i < n)
        i += utf8_encode(SAMPLES[random_below(sizeof SAMPLES / sizeof *SAMPLES)], text + i);
    *length = i;
    return text;
}

/* Checks each piece and concatenates them. */
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

START_TEST(pieces_are_complete_characters)
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
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"); /* of an empty file */
    cJSON_Delete(list);
    free(json), free(expected), free(g.bytes);
    text_free(&t);
    ck_assert(nothing_open());
}
END_TEST

/* The offset is that of the first byte that is not part of a character, across pieces too. */
START_TEST(invalid_bytes_are_located)
{
    enter_folder();
    const char *path = in_folder("text");
    const size_t n = TEXT_PIECE + 1000;
    struct gathered g = {.bytes = malloc(2 * TEXT_PIECE), .size = 2 * TEXT_PIECE};
    char *text = malloc(n);
    static const struct {
        const char *bytes, *says;
    } CASES[] = {{"\xFF", "0xFF does not begin a valid"},
                 {"\xC0\x80", "0xC0 does not begin a valid"},
                 {"\xE2\x82", "0xE2 does not begin a valid"},
                 {"\xED\xA0\x80", "0xED does not begin"},
                 {"\x80", "0x80 does not begin a valid"},
                 {"\xF2\xEB\x80\x80", "0xF2 does not begin a valid"}};
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

START_TEST(changed_files_are_detected)
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

START_TEST(which_files)
{
    enter_folder();
    static const char *const FILES[] = {
        "b.txt",        "a.txt", "B.txt", ".hidden", "c/z", "c/.x", "out/train-00000.h5",
        "out/more.txt", "c.txt"};
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
    struct stat output;
    ck_assert_int_eq(stat(in_folder("out"), &output), 0);
    struct text t = {0};
    OK(text_add(&t, folder, &output, &err));
    ck_assert_uint_eq(t.n, 6);
    for (size_t i = 0; i < 6; i++)
        ck_assert_str_eq(t.files[i].path + strlen(folder) + 1, EXPECTED[i]);
    text_free(&t);
    OK(text_add(&t, in_folder("link"), &output, &err)); /* a link that is named is followed */
    OK(text_add(&t, in_folder(".hidden"), &output, &err));
    ck_assert_uint_eq(t.n, 2);
    FAILS(text_add(&t, in_folder("out/train-00000.h5"), &output, &err),
          "tokenize would overwrite this file");
    FAILS(text_add(&t, in_folder("pipe"), &output, &err), "neither a regular file nor a directory");
    FAILS(text_add(&t, in_folder("empty"), &output, &err), "no files in this directory");
    FAILS(text_add(&t, in_folder("none"), &output, &err), "none: No such file");
    FAILS(text_add(&t, "", &output, &err), "No such file");
    text_free(&t);
    ck_assert(nothing_open());
}
END_TEST

SUITE("data/text", pieces_are_complete_characters, invalid_bytes_are_located,
      changed_files_are_detected, which_files)
