/* data_fixture.h: shared by the tests of data/: random numbers, and small corpora. */
#pragma once

#include "data/corpus/corpus.h"
#include "data/corpus/encoder.h"
#include "data/hdf5/h5.h"
#include "data/hdf5/h5_read.h"
#include "data/tokenizer/tokenizer.h"
#include "tests/files.h"
#include <stdbool.h>
#include <stdint.h>

/* ck_assert for inner loops: Check's own writes a message each time, which is slow. */
#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            ck_abort_msg("%s", #condition);                                                        \
    } while (0)
#define EXPECT_MSG(condition, ...)                                                                 \
    do {                                                                                           \
        if (!(condition))                                                                          \
            ck_abort_msg(__VA_ARGS__);                                                             \
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

/* libhdf5 1.10 leaks memory if it cannot open a damaged file. nothing_open finds what we leave
 * open. */
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

/* Reads from an array of tokens: struct corpus_plan's read. */
FIXTURE int copy_tokens(void *tokens, uint64_t first, size_t n, uint32_t *ids, struct error *e)
{
    (void)e;
    memcpy(ids, (uint32_t *)tokens + first, n * sizeof *ids);
    return 0;
}

/* Makes a corpus of n random tokens of the byte tokenizer, of which the first `train` are the train
 * split. Documents begin with the tokens that begins (n) marks, unless it is NULL. Returns the
 * tokens, which the caller frees. */
FIXTURE uint32_t *make_documents(const char *dir, size_t n, size_t train, size_t max_tokens,
                                 const bool *begins)
{
    uint32_t *tokens = malloc(n * sizeof *tokens);
    for (size_t i = 0; i < n; i++)
        tokens[i] = (uint32_t)random_below(256) | (begins && begins[i] ? DOCUMENT_BEGIN : 0);
    struct tokenizer *t = tokenizer_create_byte(&err);
    const struct corpus_plan plan = {dir, t,    train,       n - train, max_tokens, begins != NULL,
                                     0,   "[]", copy_tokens, tokens};
    OK(corpus_write(&plan, &err));
    tokenizer_destroy(t);
    for (size_t i = 0; i < n; i++)
        tokens[i] &= ~(uint32_t)DOCUMENT_BEGIN;
    return tokens;
}
FIXTURE uint32_t *make_corpus(const char *dir, size_t n, size_t train, size_t max_tokens)
{
    return make_documents(dir, n, train, max_tokens, NULL);
}
