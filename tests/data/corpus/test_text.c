/* test_text.c: text files are found, read in complete characters, and checked for changes. */
#include "base/utf8.h"
#include "data/corpus/json_lines.h"
#include "data/corpus/text.h"
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
    static const char *const EXPECTED[] = {"B.txt", "a.txt", "b.txt",       "c/e",
                                           "c/z",   "c.txt", "out/more.txt"};
    mkdir(in_folder("c"), 0777), mkdir(in_folder("out"), 0777), mkdir(in_folder("empty"), 0777),
        mkdir(in_folder(".git"), 0777);
    write_file(in_folder(".git/config"), "x", 1);
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++)
        write_file(in_folder(FILES[i]), "x", 1);
    ck_assert_int_eq(symlink("a.txt", in_folder("link")), 0); /* is read as a.txt */
    ck_assert_int_eq(symlink("..", in_folder("c/up")), 0);
    ck_assert_int_eq(symlink("nothing", in_folder("c/nothing")), 0);
    write_file(in_folder("elsewhere"), "x", 1);
    mkdir(in_folder("empty"), 0777);
    ck_assert_int_eq(rename(in_folder("elsewhere"), in_folder("empty/.e")), 0);
    ck_assert_int_eq(symlink("../empty/.e", in_folder("c/e")), 0);
    ck_assert_int_eq(mkfifo(in_folder("pipe"), 0666), 0);
    struct stat output;
    ck_assert_int_eq(stat(in_folder("out"), &output), 0);
    struct text t = {0};
    OK(text_add(&t, folder, &output, &err));
    ck_assert_uint_eq(t.n, 7);
    for (size_t i = 0; i < 7; i++)
        ck_assert_str_eq(t.files[i].path + strlen(folder) + 1, EXPECTED[i]);
    text_free(&t);
    OK(text_add(&t, in_folder("link"), &output, &err)); /* a link that is named is followed */
    OK(text_add(&t, in_folder(".hidden"), &output, &err));
    ck_assert_uint_eq(t.n, 2);
    FAILS(text_add(&t, in_folder("out/train-00000.h5"), &output, &err),
          "tokenize would overwrite this file");
    FAILS(text_add(&t, "/dev/null", &output, &err), "not a file, a pipe or a directory");
    FAILS(text_add(&t, in_folder("empty"), &output, &err), "no files in this directory");
    FAILS(text_add(&t, in_folder("none"), &output, &err), "none: No such file");
    FAILS(text_add(&t, "", &output, &err), "No such file");
    text_free(&t);
    ck_assert(nothing_open());
}
END_TEST

/* A pipe is read as often as a file; of JSON lines, the texts are, whatever is in the way. */
START_TEST(pipes_and_json_lines)
{
    enter_folder();
    static const char LINES[] = "{\"n\":[1,{\"text\":\"no\"}],\"text\":\"one \\u00e9\"}\r\n  \n"
                                "{\"text\":\"\"}\n{\"text\":\"\\ttwo\",\"Text\":0}";
    char bytes[64];
    struct gathered g = {.bytes = bytes, .size = sizeof bytes};
    for (int pipes = 0; pipes < 2; pipes++) {
        struct text t = {.json_field = pipes ? "text" : NULL};
        int ends[2];
        ck_assert_int_eq(pipe(ends), 0);
        char name[32];
        snprintf(name, sizeof name, "/dev/fd/%d", ends[0]);
        ck_assert_int_eq(write(ends[1], LINES, strlen(LINES)), strlen(LINES));
        close(ends[1]);
        write_file(in_folder("x.jsonl"), LINES, strlen(LINES));
        OK(text_add(&t, pipes ? name : in_folder("x.jsonl"), NULL, &err));
        close(ends[0]);
        EXPECT(t.documents);
        for (int reading = 0; reading < 3; reading++) {
            g.n = g.pieces = 0;
            OK(text_read(&t, gather, &g, &err));
            ck_assert_uint_eq(g.pieces, 2);
            ck_assert_uint_eq(g.n, strlen("one \u00e9\ttwo"));
            ck_assert_mem_eq(g.bytes, "one \u00e9\ttwo", g.n);
        }
        text_free(&t);
    }
    ck_assert(nothing_open());
}
END_TEST

static int concatenate(void *context, const char *text, size_t n, struct error *e)
{
    struct gathered *g = context;
    (void)e;
    memcpy(g->bytes + g->n, text, n);
    g->n += n;
    g->bytes[g->n++] = '\n';
    return 0;
}

START_TEST(json_lines_in_any_pieces)
{
    char line[600], all[6000], expected[6000], got[6000];
    for (int round = 0; round < 300; round++) {
        size_t n = 0, m = 0;
        for (int k = random_below(8); k >= 0; k--) {
            size_t length;
            char *text = random_text(1 + random_below(40), &length);
            text[length] = '\0';
            memcpy(expected + m, text, length);
            m += length;
            expected[m++] = '\n';
            cJSON *o = cJSON_CreateObject();
            cJSON_AddStringToObject(o, "body", text);
            ck_assert(cJSON_PrintPreallocated(o, line, sizeof line, false));
            n += sprintf(all + n, "%s%s", line, k ? "\n" : "");
            cJSON_Delete(o);
            free(text);
        }
        struct gathered g = {.bytes = got};
        struct json_lines j = {.path = "x", .field = "body", .take = concatenate, .context = &g};
        for (size_t i = 0, piece; i < n; i += piece) {
            piece = random_below(20) + 1 < n - i ? random_below(20) + 1 : n - i;
            piece = piece < n - i ? piece : n - i;
            OK(json_lines_add(&j, all + i, piece, &err));
        }
        OK(json_lines_finish(&j, &err));
        ck_assert_uint_eq(g.n, m);
        ck_assert_mem_eq(got, expected, m);
        json_lines_free(&j);
    }
}
END_TEST

START_TEST(bad_json_lines_are_located)
{
    static const struct {
        const char *line, *says;
    } CASES[] = {{"[]", "expected a JSON object with a string \"text\""},
                 {"{\"text\":3}", "expected a JSON object with a string"},
                 {"{\"Text\":\"x\"}", "expected a JSON object with a string"},
                 {"{\"text\":\"x}", "not JSON from byte"},
                 {"{\"text\":\"x\"} x", "not JSON from byte"},
                 {"{\"text\":\"\\u0000\"}", "contains a NUL character"},
                 {"{\"text\":\"\\ud800\"}", "not JSON from byte"},
                 {"{\"text\":\"\xff\"}", "byte 10 is not valid UTF-8"}};
    static const char ESCAPED[] = "{\"text\":\"\\\\u0000\"}\n\n";
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char got[100], says[200];
        struct gathered g = {.bytes = got};
        struct json_lines j = {.path = "x", .field = "text", .take = concatenate, .context = &g};
        OK(json_lines_add(&j, ESCAPED, strlen(ESCAPED), &err)); /* a backslash */
        ck_assert_mem_eq(got, "\\u0000\n", 7);
        OK(json_lines_add(&j, CASES[i].line, strlen(CASES[i].line), &err));
        snprintf(says, sizeof says, "x: line 3: %s", CASES[i].says);
        FAILS(json_lines_finish(&j, &err), says);
        json_lines_free(&j);
    }
}
END_TEST

SUITE("data/corpus/text", pieces_are_complete_characters, invalid_bytes_are_located,
      changed_files_are_detected, which_files, pipes_and_json_lines, json_lines_in_any_pieces,
      bad_json_lines_are_located)
