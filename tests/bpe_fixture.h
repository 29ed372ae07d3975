/* bpe_fixture.h: shared by the tests of byte-pair encoding: texts, and straightforward algorithms
 * with which the fast ones are compared. */
#pragma once

#include "base/utf8.h"
#include "data/tokenizer/bpe_train.h"
#include "data/tokenizer/word_counter.h"
#include "tests/data_fixture.h"

/* Real texts: the project's, and a book of quotations if it is installed. */
FIXTURE char *real_text(size_t *n)
{
    static const char *const FILES[] = {"README.md", "docs/derivations.md", "model/attention.c",
                                        "/usr/share/games/fortunes/literature"};
    char *all = NULL;
    *n = 0;
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        size_t size;
        if (access(FILES[i], R_OK) != 0)
            continue;
        unsigned char *bytes = read_file(FILES[i], &size);
        all = realloc(all, *n + size);
        memcpy(all + *n, bytes, size);
        *n += size;
        free(bytes);
    }
    ck_assert_uint_gt(*n, 30000);
    return all;
}

/* Random text of difficult parts: characters of all planes, combining marks, white space,
 * contractions, digits, and bytes that are not valid UTF-8. Returns its size. */
FIXTURE size_t random_text(char *text, size_t max)
{
    static const char *const PARTS[] = {"the",
                                        " of",
                                        "'s",
                                        "'LL",
                                        "  ",
                                        "\n\n",
                                        "\r\n",
                                        "\t ",
                                        "12345",
                                        "é",
                                        "e\u0301",
                                        "漢字",
                                        "👨‍👩‍👧",
                                        "aaaa",
                                        "ſ",
                                        "…",
                                        "\u00a0",
                                        "\u180e",
                                        "\x80",
                                        "\xff",
                                        "\xe2\x82",
                                        "\xed\xa0\x80",
                                        " ",
                                        "x"};
    size_t n = 0;
    while (n + 32 < max) {
        const uint64_t kind = random_below(8);
        if (kind == 0) {
            const uint32_t c = (uint32_t)random_below(CODE_POINTS);
            n += utf8_encode(c >= 0xD800 && c <= 0xDFFF ? 'a' : c, text + n);
        } else if (kind == 1) {
            text[n++] = (char)random_below(256);
        } else {
            const char *part = PARTS[random_below(sizeof PARTS / sizeof *PARTS)];
            memcpy(text + n, part, strlen(part));
            n += strlen(part);
        }
    }
    return n;
}

/* A word as a sequence of tokens, each a range of the word's bytes. */
struct plain_word {
    size_t n, *begin, *length; /* into bytes */
    const char *bytes;
    uint64_t count;
};

struct plain_pair {
    const char *left, *right;
    size_t n_left, n_right;
    uint64_t count;
};

FIXTURE bool is_token(const struct plain_word *w, size_t i, const char *bytes, size_t n)
{
    return w->length[i] == n && memcmp(w->bytes + w->begin[i], bytes, n) == 0;
}

/* Replaces every occurrence of the pair by one token, from left to right. */
FIXTURE void plain_merge(struct plain_word *w, const struct plain_pair *p)
{
    size_t out = 0;
    for (size_t i = 0; i < w->n; i++, out++) {
        w->begin[out] = w->begin[i];
        w->length[out] = w->length[i];
        if (i + 1 < w->n && is_token(w, i, p->left, p->n_left) &&
            is_token(w, i + 1, p->right, p->n_right))
            w->length[out] += w->length[++i];
    }
    w->n = out;
}

FIXTURE void plain_word_init(struct plain_word *w, const char *bytes, size_t n, uint64_t count)
{
    *w = (struct plain_word){n, malloc(n * sizeof(size_t)), malloc(n * sizeof(size_t)), bytes,
                             count};
    for (size_t i = 0; i < n; i++)
        w->begin[i] = i, w->length[i] = 1;
}

FIXTURE void count_words(struct bytemap *counts, const char *regex, const char *text, size_t n)
{
    struct pattern *p = pattern_create(regex, &err);
    struct word_counter *c = word_counter_create(p, "", &err);
    OK(pretokenizer_append(c->input, text, n, &err));
    OK(word_counter_finish(c, counts, &err));
    word_counter_destroy(c);
    pattern_destroy(p);
}
