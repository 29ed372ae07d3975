/* bpe_tiktoken.c: OpenAI's NAME.tiktoken: a line for each token, its bytes in base64 and its rank, which is also its id. tiktoken merges
 * the neighbours whose bytes together have the lowest rank.
 *
 * Our merges are of pairs, so they are found again: a token is made of the two that merging by the ranks below its own leaves of its
 * bytes. Where that leaves two for every token, both ways give the same ids: whenever two neighbours a b together are a token, what is
 * left of and right of them has not reached into them so far, so merging has gone as it goes for the bytes ab alone, and left those
 * two. Where it leaves more for some token, every split of a token into two becomes a merge, and a whole word that is a token is
 * looked up first, as tiktoken does.
 *
 * Pattern and special tokens are not in the file: those of OpenAI's own vocabularies are known by the file's name.
 */
#include "data/tokenizer/bpe_draft.h"
#include <errno.h>
#include <nettle/base64.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct known {
    const char *name, *regex;
    struct {
        uint32_t id;
        const char *name;
    } specials[5];
} KNOWN[] = {
    {"gpt2", "gpt2", {{50256, "<|endoftext|>"}}},
    {"r50k_base", "gpt2", {{50256, "<|endoftext|>"}}},
    {"p50k_base", "gpt2", {{50256, "<|endoftext|>"}}},
    {"p50k_edit",
     "gpt2",
     {{50256, "<|endoftext|>"},
      {50281, "<|fim_prefix|>"},
      {50282, "<|fim_middle|>"},
      {50283, "<|fim_suffix|>"}}},
    {"cl100k_base",
     "gpt4",
     {{100257, "<|endoftext|>"},
      {100258, "<|fim_prefix|>"},
      {100259, "<|fim_middle|>"},
      {100260, "<|fim_suffix|>"},
      {100276, "<|endofprompt|>"}}},
    {"o200k_base", "gpt4o", {{199999, "<|endoftext|>"}, {200018, "<|endofprompt|>"}}},
};

static const struct known *find_known(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++) {
        const size_t n = strlen(KNOWN[i].name);
        if (strncmp(name, KNOWN[i].name, n) == 0 && name[n] == '.')
            return &KNOWN[i];
    }
    return NULL;
}

/* "IQ== 0" */
static int read_line(struct draft *d, const char *line, size_t n, size_t number, struct error *err)
{
    const char *space = memchr(line, ' ', n);
    const size_t m = space ? (size_t)(space - line) : 0;
    uint8_t *bytes = malloc(BASE64_DECODE_LENGTH(m) + 1);
    struct base64_decode_ctx context;
    size_t length = BASE64_DECODE_LENGTH(m);
    char *end = NULL;
    errno = 0;
    const unsigned long long rank = space ? strtoull(space + 1, &end, 10) : 0;
    base64_decode_init(&context);
    int status;
    if (!bytes)
        status = fail(err, "%s: out of memory", d->path);
    else if (!space || errno || end == space + 1 || end != line + n || space[1] < '0' ||
             space[1] > '9' || !base64_decode_update(&context, &length, bytes, m, line) ||
             !base64_decode_final(&context))
        status = fail(err, "%s: line %zu: expected a token in base64 and its rank, got \"%.*s\"",
                      d->path, number, (int)(n < 60 ? n : 60), line);
    else
        status = draft_set(d, (double)rank, (char *)bytes, length, BPE_NORMAL, err);
    free(bytes);
    return status;
}

static int read_lines(struct draft *d, const char *text, size_t size, struct error *err)
{
    size_t number = 0;
    for (const char *line = text, *end; line < text + size; line = end + 1) {
        end = memchr(line, '\n', (size_t)(text + size - line));
        end = end ? end : text + size;
        size_t n = (size_t)(end - line);
        n -= n && line[n - 1] == '\r';
        number++;
        if (n && read_line(d, line, n, number, err) != 0)
            return -1;
    }
    return draft_index(d, err);
}

/* What merging by the ranks below `rank` leaves of a token's bytes: its parts' ends. Tokens are short, so the plain way does. */
static size_t split_token(const struct draft *d, const char *bytes, size_t n, uint32_t rank,
                          uint32_t *ends)
{
    for (uint32_t i = 0; i < n; i++)
        ends[i] = i + 1;
    while (n > 1) {
        size_t best = 0;
        uint32_t best_rank = rank;
        for (size_t i = 0; i + 1 < n; i++) {
            const uint32_t begin = i ? ends[i - 1] : 0,
                           r = draft_find(d, bytes + begin, ends[i + 1] - begin);
            if (r < best_rank) {
                best_rank = r;
                best = i;
            }
        }
        if (best_rank == rank)
            break;
        memmove(ends + best, ends + best + 1, (--n - best) * sizeof *ends);
    }
    return n;
}

static int add_split(struct draft *d, uint32_t id, size_t at, struct error *err)
{
    const struct draft_token *t = &d->tokens[id];
    const uint32_t left = draft_find(d, t->bytes, at),
                   right = draft_find(d, t->bytes + at, t->length - at);
    if (left == BYTEMAP_NONE || right == BYTEMAP_NONE)
        return 0;
    return bpe_parts_merge(&d->parts, (struct merge){left, right, id}, err);
}

enum {
    LONG = 1024
}; /* no known token has more than 128 bytes; the plain way would take forever for one that fills the file */

static int find_merges(struct draft *d, struct error *err)
{
    uint32_t ends[LONG];
    bool all = true; /* tokens are made of two */
    for (uint32_t id = 0; id < d->n && all; id++) {
        const struct draft_token *t = &d->tokens[id];
        if (t->kind != BPE_NORMAL || t->length < 2)
            continue;
        if (t->length > LONG)
            return fail(err, "%s: token %u has %u bytes: expected at most %d", d->path, id,
                        t->length, LONG);
        all = split_token(d, t->bytes, t->length, id, ends) == 2;
        if (all && add_split(d, id, ends[0], err) != 0)
            return -1;
    }
    if (all)
        return 0;
    d->parts.n_merges = 0;
    free(d->parts.merges);
    d->parts.merges = NULL;
    d->parts.whole_words = true;
    for (uint32_t id = 0; id < d->n; id++)
        for (size_t at = 1; d->tokens[id].kind == BPE_NORMAL && at < d->tokens[id].length; at++)
            if (add_split(d, id, at, err) != 0)
                return -1;
    return 0;
}

struct bpe *bpe_read_tiktoken(const char *path, char *text, size_t size,
                              const struct bpe_hints *hints, struct error *err)
{
    struct draft d = {0};
    struct bpe *b = NULL;
    size_t lines = 1;
    const struct known *known = hints && hints->n_specials ? NULL : find_known(path);
    const char *regex = hints && hints->regex ? hints->regex : known ? known->regex : NULL;
    for (const char *c = text; (c = memchr(c, '\n', (size_t)(text + size - c))); c++)
        lines++;
    if (!regex) {
        fail(err,
             "%s: does not say how it cuts words: give --pattern gpt2, gpt4 or another (and its "
             "special tokens by --special)",
             path);
        return NULL;
    }
    int status = draft_create(&d, path, size + 256, lines, err);
    if (status == 0)
        status = read_lines(&d, text, size, err);
    if (status == 0)
        status = find_merges(&d, err);
    for (size_t i = 0; known && status == 0 && i < 5 && known->specials[i].name; i++)
        status = draft_set(&d, known->specials[i].id, known->specials[i].name,
                           strlen(known->specials[i].name), BPE_SPECIAL, err);
    if (status == 0)
        b = draft_finish(&d, regex, hints, err);
    draft_free(&d);
    return b;
}
