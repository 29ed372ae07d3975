/* vocabulary.c: see vocabulary.h. */
#include "data/tokenizer/vocabulary.h"
#include "base/minmax.h"
#include "base/utf8.h"
#include <stdlib.h>
#include <string.h>

/* --- GPT-2's characters --- */

/* GPT-2's bytes_to_unicode: printable bytes are themselves, the others U+0100 and following.
 * `bytes` gets 1 + the byte of each character below U+0200, or 0. */
static void make_alphabet(uint16_t characters[256], uint16_t bytes[512])
{
    uint16_t next = 256;
    memset(bytes, 0, 512 * sizeof *bytes);
    for (unsigned b = 0; b < 256; b++) {
        const bool printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b != 0xAD);
        characters[b] = printable ? (uint16_t)b : next++;
        bytes[characters[b]] = (uint16_t)(b + 1);
    }
}

/* Decodes into `bytes`, which holds n. SIZE_MAX if the text has other characters. */
static size_t printable_to_bytes(const char *text, size_t n, char *out)
{
    uint16_t characters[256], bytes[512];
    size_t length = 0;
    make_alphabet(characters, bytes);
    for (size_t i = 0; i < n;) {
        uint32_t c;
        const int m = utf8_decode(text + i, n - i, &c);
        if (m <= 0 || c >= 512 || bytes[c] == 0)
            return SIZE_MAX;
        out[length++] = (char)(bytes[c] - 1);
        i += (size_t)m;
    }
    return length;
}

void bytes_to_printable(const char *from, size_t n, char *text)
{
    uint16_t characters[256], bytes[512];
    make_alphabet(characters, bytes);
    for (size_t i = 0; i < n; i++)
        text += utf8_encode(characters[(uint8_t)from[i]], text);
    *text = '\0';
}

/* --- tokens --- */

int vocabulary_create(struct vocabulary *v, size_t n, struct error *err)
{
    *v = (struct vocabulary){.limit = n + BPE_MAX_SPECIAL};
    if (v->limit > BPE_MAX_VOCAB)
        return fail(err, "%zu tokens: expected at most %d", n, BPE_MAX_VOCAB);
    if (!(v->tokens = calloc(v->limit, sizeof *v->tokens)))
        return fail(err, "out of memory for %zu tokens", n);
    for (size_t i = 0; i < v->limit; i++)
        v->tokens[i] = (struct vocabulary_token){"", 0, BPE_UNUSED};
    return 0;
}

void vocabulary_free(struct vocabulary *v)
{
    free(v->tokens);
}

int vocabulary_set(struct vocabulary *v, double id, const char *bytes, size_t length,
                   enum bpe_kind kind, struct error *err)
{
    const int shown = (int)size_min(length, 60); /* bytes are not terminated */
    if (!(id >= 0 && id < (double)v->limit) || id != (double)(size_t)id)
        return fail(err, "token \"%.*s\" has the id %.17g: expected a whole number, and no gaps",
                    shown, bytes, id);
    struct vocabulary_token *t = &v->tokens[(size_t)id];
    if (t->kind != BPE_UNUSED)
        return fail(err, "two tokens have the id %zu: \"%.*s\" and \"%.*s\"", (size_t)id,
                    (int)t->length, t->bytes, shown, bytes);
    if (length == 0 || length > BPE_MAX_TOKEN)
        return fail(err, "token %zu has %zu bytes: expected 1 to %d", (size_t)id, length,
                    BPE_MAX_TOKEN);
    *t = (struct vocabulary_token){bytes, (uint32_t)length, (uint8_t)kind};
    v->n = size_max(v->n, (size_t)id + 1);
    return 0;
}

int vocabulary_set_printable(struct vocabulary *v, double id, char *name, struct error *err)
{
    char bytes[2 * BPE_MAX_TOKEN];
    const size_t n = strlen(name),
                 length = n <= sizeof bytes ? printable_to_bytes(name, n, bytes) : SIZE_MAX;
    if (length == SIZE_MAX)
        return vocabulary_set(v, id, name, n, BPE_SPECIAL, err);
    memcpy(name, bytes, length);
    return vocabulary_set(v, id, name, length, BPE_NORMAL, err);
}

struct bpe *vocabulary_finish(struct vocabulary *v, const char *regex,
                              const struct bpe_hints *hints, struct error *err)
{
    struct bpe_model m = {.regex = strdup(regex)};
    int status = m.regex ? 0 : fail(err, "out of memory");
    for (size_t i = 0; i < v->n && status == 0; i++) {
        const struct vocabulary_token *t = &v->tokens[i];
        status = bpe_add_token(&m, t->bytes, t->length, t->kind, err);
    }
    for (size_t i = 0; hints && i < hints->n_specials && status == 0; i++)
        status =
            bpe_add_token(&m, hints->specials[i], strlen(hints->specials[i]), BPE_SPECIAL, err);
    struct bpe *b = status == 0 ? bpe_create(&m, err) : NULL;
    bpe_model_free(&m);
    return b;
}

/* --- merges --- */

int bpe_find_merge(const struct bpe *b, const char *left, size_t n_left, const char *right,
                   size_t n_right, struct merge *merge, struct error *err)
{
    char bytes[4 * BPE_MAX_TOKEN];
    if (n_left == 0 || n_right == 0 || n_left + n_right > sizeof bytes)
        return fail(err, "expected two tokens separated by a space");
    const size_t m = printable_to_bytes(left, n_left, bytes),
                 k = m == SIZE_MAX ? m : printable_to_bytes(right, n_right, bytes + m);
    if (k == SIZE_MAX)
        return fail(err, "\"%.*s %.*s\" is not in the characters of byte-level BPE", (int)n_left,
                    left, (int)n_right, right);
    *merge =
        (struct merge){bpe_find(b, bytes, m), bpe_find(b, bytes + m, k), bpe_find(b, bytes, m + k)};
    if (merge->left == BPE_NONE)
        return fail(err, "\"%.*s\" is not in the vocabulary", (int)n_left, left);
    if (merge->right == BPE_NONE)
        return fail(err, "\"%.*s\" is not in the vocabulary", (int)n_right, right);
    return merge->result != BPE_NONE ? 0
                                     : fail(err, "its result \"%.*s%.*s\" is not in the vocabulary",
                                            (int)n_left, left, (int)n_right, right);
}
