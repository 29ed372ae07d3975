/* bpe_draft.c: what the readers and writers of others' files share. */
#include "data/tokenizer/bpe_draft.h"
#include "base/input_file.h"
#include "base/utf8.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *bpe_read_file(const char *path, size_t *size, struct error *err)
{
    uint64_t length;
    const int fd = input_file_open_linked(path, &length, err);
    if (fd < 0)
        return NULL;
    char *text = length <= BPE_FILE_MAX ? malloc(length + 1) : NULL;
    if (length > BPE_FILE_MAX)
        fail(err, "%s: %llu bytes: expected a tokenizer of at most %d", path,
             (unsigned long long)length, BPE_FILE_MAX);
    else if (!text)
        fail(err, "%s: out of memory", path);
    else if (input_file_read(fd, 0, text, length, path, err) == 0) {
        text[length] = '\0';
        *size = length;
        close(fd);
        return text;
    }
    free(text);
    close(fd);
    return NULL;
}

/* --- bytes as printable characters --- */

static bool prints(unsigned byte)
{
    return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
}

/* Of each byte; and of each character below U+0200 the byte + 1, 0 where it is none. */
static void make_alphabet(uint16_t characters[256], uint16_t bytes[512])
{
    uint16_t next = 256;
    memset(bytes, 0, 512 * sizeof *bytes);
    for (unsigned b = 0; b < 256; b++) {
        characters[b] = prints(b) ? (uint16_t)b : next++;
        bytes[characters[b]] = (uint16_t)(b + 1);
    }
}

size_t printable_to_bytes(const char *text, size_t n, char *out)
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

/* --- drafts --- */

int draft_create(struct draft *d, const char *path, size_t size, size_t n, struct error *err)
{
    *d = (struct draft){.path = path, .limit = n + BPE_MAX_SPECIAL, .room = size + 1};
    if (d->limit > BPE_MAX_VOCAB)
        return fail(err, "%s: %zu tokens: expected at most %d", path, n, BPE_MAX_VOCAB);
    d->tokens = calloc(d->limit, sizeof *d->tokens);
    d->bytes = malloc(d->room);
    if (!d->tokens || !d->bytes)
        return fail(err, "%s: out of memory for %zu tokens", path, n);
    for (size_t i = 0; i < d->limit; i++)
        d->tokens[i].kind = BPE_UNUSED;
    return 0;
}

void draft_free(struct draft *d)
{
    free(d->tokens);
    free(d->bytes);
    free(d->ids);
    bytemap_free(&d->map);
    bpe_parts_free(&d->parts);
}

int draft_set(struct draft *d, double id, const char *bytes, size_t length, enum bpe_kind kind,
              struct error *err)
{
    const int shown = (int)(length < 60 ? length : 60); /* bytes end nowhere else */
    if (!(id >= 0 && id < (double)d->limit) || id != (double)(size_t)id)
        return fail(err,
                    "%s: token \"%.*s\" has the id %.17g: expected a whole number, and no gaps",
                    d->path, shown, bytes, id);
    struct draft_token *t = &d->tokens[(size_t)id];
    if (t->kind != BPE_UNUSED)
        return fail(err, "%s: two tokens have the id %zu: \"%.*s\" and \"%.*s\"", d->path,
                    (size_t)id, (int)t->length, t->bytes, shown, bytes);
    if (length == 0 || length > d->room - d->used)
        return fail(err, "%s: token %zu: %zu bytes", d->path, (size_t)id, length);
    memcpy(d->bytes + d->used, bytes, length);
    *t = (struct draft_token){d->bytes + d->used, (uint32_t)length, (uint8_t)kind};
    d->used += length;
    if ((size_t)id >= d->n)
        d->n = (size_t)id + 1;
    return 0;
}

int draft_set_printable(struct draft *d, double id, const char *name, struct error *err)
{
    const size_t n = strlen(name);
    char *bytes = malloc(n + 1);
    if (!bytes)
        return fail(err, "%s: out of memory", d->path);
    const size_t length = printable_to_bytes(name, n, bytes);
    const int status = length == SIZE_MAX ? draft_set(d, id, name, n, BPE_SPECIAL, err)
                                          : draft_set(d, id, bytes, length, BPE_NORMAL, err);
    free(bytes);
    return status;
}

int draft_index(struct draft *d, struct error *err)
{
    if (!(d->ids = malloc((d->n + 1) * sizeof *d->ids)))
        return fail(err, "%s: out of memory", d->path);
    for (size_t i = 0; i < d->n; i++) {
        const struct draft_token *t = &d->tokens[i];
        if (t->kind != BPE_NORMAL)
            continue;
        const size_t before = d->map.n;
        const uint32_t k = bytemap_add(&d->map, t->bytes, t->length);
        if (k == BYTEMAP_NONE)
            return fail(err, "%s: out of memory", d->path);
        if (d->map.n == before)
            return fail(err, "%s: tokens %u and %zu are both \"%.*s\"", d->path, d->ids[k], i,
                        (int)t->length, t->bytes);
        d->ids[k] = (uint32_t)i;
    }
    return 0;
}

uint32_t draft_find(const struct draft *d, const char *bytes, size_t length)
{
    const uint32_t i = bytemap_find(&d->map, bytes, length);
    return i == BYTEMAP_NONE ? i : d->ids[i];
}

int draft_merge(struct draft *d, const char *left, size_t n_left, const char *right, size_t n_right,
                const char *where, struct error *err)
{
    if (n_left == 0 || n_right == 0 || n_left + n_right > 4 * BPE_MAX_TOKEN)
        return fail(err, "%s: %s: expected two tokens with a space between them", d->path, where);
    char *bytes = malloc(n_left + n_right);
    if (!bytes)
        return fail(err, "%s: out of memory", d->path);
    int status = 0;
    const size_t m = printable_to_bytes(left, n_left, bytes);
    const size_t k = m == SIZE_MAX ? m : printable_to_bytes(right, n_right, bytes + m);
    if (k == SIZE_MAX)
        status =
            fail(err, "%s: %s: \"%.*s %.*s\" is not written in the characters of byte-level BPE",
                 d->path, where, (int)n_left, left, (int)n_right, right);
    const uint32_t l = k == SIZE_MAX ? 0 : draft_find(d, bytes, m),
                   r = k == SIZE_MAX ? 0 : draft_find(d, bytes + m, k);
    const uint32_t result = k == SIZE_MAX ? 0 : draft_find(d, bytes, m + k);
    if (status == 0 && (l == BYTEMAP_NONE || r == BYTEMAP_NONE))
        status =
            fail(err, "%s: %s: \"%.*s\" is not in the vocabulary", d->path, where,
                 (int)(l == BYTEMAP_NONE ? n_left : n_right), l == BYTEMAP_NONE ? left : right);
    else if (status == 0 && result == BYTEMAP_NONE)
        status = fail(err, "%s: %s: what it makes, \"%.*s%.*s\", is not in the vocabulary", d->path,
                      where, (int)n_left, left, (int)n_right, right);
    if (status == 0)
        status = bpe_parts_merge(&d->parts, (struct merge){l, r, result}, err);
    free(bytes);
    return status;
}

struct bpe *draft_finish(struct draft *d, const char *regex, const struct bpe_hints *hints,
                         struct error *err)
{
    struct error detail;
    struct bpe *b = NULL;
    int status = 0;
    for (size_t i = 0; i < d->n && status == 0; i++)
        status = bpe_parts_add(&d->parts, d->tokens[i].bytes ? d->tokens[i].bytes : "",
                               d->tokens[i].length, d->tokens[i].kind, &detail);
    for (size_t i = 0; hints && i < hints->n_specials && status == 0; i++)
        status = bpe_parts_add(&d->parts, hints->specials[i], strlen(hints->specials[i]),
                               BPE_SPECIAL, &detail);
    if (status == 0 && !(d->parts.regex = strdup(regex)))
        status = fail(&detail, "out of memory");
    if (status == 0)
        b = bpe_create(&d->parts, &detail);
    if (!b)
        fail(err, "%s: %s", d->path, detail.text);
    return b;
}
