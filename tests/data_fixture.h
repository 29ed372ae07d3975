/* data_fixture.h: what the tests of data/ share: a folder of their own, random numbers, and small corpora. */
#ifndef DATA_FIXTURE_H
#define DATA_FIXTURE_H

#include "../data/corpus.h"
#include "../data/encoder.h"
#include "../data/error.h"
#include "../data/h5.h"
#include "../data/h5_read.h"
#include "../data/tokenizer.h"
#include "test.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#undef fail /* Check's old name; data/error.h's is meant */
#define FIXTURE static inline __attribute__((unused))

static struct error err;

#define OK(call) ck_assert_msg((call) == 0, "%s: %s", #call, err.text)
#define FAILS(call, part)                                                                                                        \
    do {                                                                                                                         \
        strcpy(err.text, "(no error)");                                                                                          \
        ck_assert_msg((call) != 0, "%s was expected to fail", #call);                                                            \
        ck_assert_msg(strstr(err.text, part), "\"%s\" does not contain \"%s\"", err.text, part);                                 \
    } while (0)

/* ck_assert for inner loops: Check writes a message for each of its own. */
#define EXPECT(condition)                                                                                                        \
    do {                                                                                                                         \
        if (!(condition))                                                                                                        \
            ck_abort_msg("%s", #condition);                                                                                      \
    } while (0)
#define EXPECT_MSG(condition, ...)                                                                                               \
    do {                                                                                                                         \
        if (!(condition))                                                                                                        \
            ck_abort_msg(__VA_ARGS__);                                                                                           \
    } while (0)

/* SplitMix64 */
static uint64_t random_state = 1;
FIXTURE uint64_t random_u64(void)
{
    uint64_t x = random_state += 0x9E3779B97F4A7C15;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
    x = (x ^ x >> 27) * 0x94D049BB133111EB;
    return x ^ x >> 31;
}
FIXTURE uint64_t random_below(uint64_t n)
{
    return random_u64() % n;
}

/* A new folder, removed with what it holds when the process ends. */
static char folder[64];
static pid_t folder_owner;
FIXTURE void remove_folder(void)
{
    char command[192];
    snprintf(command, sizeof command, "chmod -R u+w %s; rm -rf %s", folder, folder);
    if (getpid() == folder_owner && folder[0] && system(command) != 0)
        perror(folder);
}
FIXTURE void enter_folder(void)
{
    strcpy(folder, "/tmp/handgrad-data-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    folder_owner = getpid();
    atexit(remove_folder);
}
/* The path of a name in it; sixteen can be in use. */
FIXTURE const char *in_folder(const char *name)
{
    static char paths[16][160];
    static unsigned next;
    char *path = paths[next++ % 16];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

FIXTURE unsigned char *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f, "%s", path);
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    unsigned char *bytes = malloc(*size + 1);
    ck_assert_uint_eq(fread(bytes, 1, *size, f), *size);
    fclose(f);
    return bytes;
}
FIXTURE void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    ck_assert_msg(f, "%s", path);
    ck_assert_uint_eq(fwrite(bytes, 1, size, f), size);
    ck_assert_int_eq(fclose(f), 0);
}

/* libhdf5 1.10 forgets some memory of its own where it cannot open a damaged file. What we left open, nothing_open finds. */
const char *__lsan_default_suppressions(void);
__attribute__((used)) const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5";
}
FIXTURE bool nothing_open(void)
{
    h5_lock();
    const ssize_t n = H5Fget_obj_count(H5F_OBJ_ALL, H5F_OBJ_ALL);
    h5_unlock();
    return n == 0;
}

/* Flips bits of a byte in place: rewriting a file makes some file systems sync it. */
FIXTURE void flip_bits(const char *path, size_t offset, unsigned char bits)
{
    FILE *f = fopen(path, "r+b");
    ck_assert_msg(f, "%s", path);
    fseek(f, (long)offset, SEEK_SET);
    const int c = getc(f);
    fseek(f, (long)offset, SEEK_SET);
    putc(c ^ bits, f);
    fclose(f);
}

/* n random tokens of the byte tokenizer; of them the first train are the train split. Where begins (n) is given, documents begin
 * with the tokens that it marks. The caller frees them. */
FIXTURE uint32_t *make_documents(const char *dir, size_t n, size_t train, size_t max_tokens, const bool *begins)
{
    uint32_t *tokens = malloc(n * sizeof *tokens);
    for (size_t i = 0; i < n; i++)
        tokens[i] = (uint32_t)random_below(256) | (begins && begins[i] ? ENCODER_DOCUMENT : 0);
    struct tokenizer *t = tokenizer_create_byte(&err);
    const struct corpus_plan plan = {dir, t, train, n - train, max_tokens, begins != NULL, "[]"};
    struct corpus_writer *w = corpus_writer_create(&plan, &err);
    ck_assert_msg(w, "%s", err.text);
    for (size_t i = 0, m; i < n; i += m) { /* in pieces of any length */
        m = 1 + random_below(1000);
        m = m < n - i ? m : n - i;
        OK(corpus_writer_append(w, tokens + i, m, &err));
    }
    OK(corpus_writer_finish(w, &err));
    tokenizer_destroy(t);
    for (size_t i = 0; i < n; i++)
        tokens[i] &= ~(uint32_t)ENCODER_DOCUMENT;
    return tokens;
}
FIXTURE uint32_t *make_corpus(const char *dir, size_t n, size_t train, size_t max_tokens)
{
    return make_documents(dir, n, train, max_tokens, NULL);
}

#endif
