/* bpe_tiktoken.c: reads OpenAI's NAME.tiktoken. Each line holds a token's bytes in base64 and its
 * rank, which is also its id. tiktoken merges the neighbours whose concatenation has the lowest
 * rank.
 *
 * Our merges are pairs, so they are reconstructed: a token is the merge of the two tokens that
 * remain when its bytes are merged by the ranks below its own. If two remain for every token, both
 * methods give the same ids: when two neighbours a b form a token, nothing to their left or right
 * has been merged into them so far, so merging has proceeded as it does for the bytes of ab alone,
 * and left those two. If more than two remain for some token, every split of a token into two
 * tokens becomes a merge, and a word that is a token is looked up first, as in tiktoken.
 *
 * The file contains neither pre-tokenizer nor special tokens; those of OpenAI's vocabularies are
 * known by the file's name.
 */
#include "base/minmax.h"
#include "data/tokenizer/vocabulary.h"
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

static const struct known *find_known(const char *name)
{
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++) {
        const size_t n = strlen(KNOWN[i].name);
        if (strncmp(name, KNOWN[i].name, n) == 0 && name[n] == '.')
            return &KNOWN[i];
    }
    return NULL;
}

/* Reads a line of n bytes such as "IQ== 0", which holds the decoded token afterwards. */
static int read_line(struct vocabulary *v, char *line, size_t n, size_t number, struct error *err)
{
    uint8_t bytes[BASE64_DECODE_LENGTH(2 * BPE_MAX_TOKEN)];
    const char *space = memchr(line, ' ', n);
    const size_t m = space ? (size_t)(space - line) : SIZE_MAX;
    size_t length = sizeof bytes;
    char *end = NULL;
    struct base64_decode_ctx context;
    base64_decode_init(&context);
    errno = 0;
    const unsigned long long rank = space ? strtoull(space + 1, &end, 10) : 0;
    if (m > 2 * BPE_MAX_TOKEN || errno || end != line + n || space[1] < '0' || space[1] > '9' ||
        !base64_decode_update(&context, &length, bytes, m, line) || !base64_decode_final(&context))
        return fail(err, "line %zu: expected a token in base64 and its rank, got \"%.*s\"", number,
                    (int)size_min(n, 60), line);
    memcpy(line, bytes, length);
    return vocabulary_set(v, (double)rank, line, length, BPE_NORMAL, err);
}

static int read_lines(struct vocabulary *v, char *text, struct error *err)
{
    size_t number = 0;
    for (char *line = text, *end; *line; line = end) {
        end = line + strcspn(line, "\n");
        size_t n = (size_t)(end - line);
        end += *end == '\n';
        n -= n && line[n - 1] == '\r';
        number++;
        if (n && read_line(v, line, n, number, err))
            return -1;
    }
    return 0;
}

/* Merges a token's bytes by the ranks below `rank`; stores where the remaining parts end and
 * returns their number. Tokens are short, so the simple algorithm suffices. */
static size_t split_token(const struct bpe *b, const char *bytes, size_t n, uint32_t rank,
                          uint32_t *ends)
{
    for (uint32_t i = 0; i < n; i++)
        ends[i] = i + 1;
    while (n > 1) {
        size_t best = 0;
        uint32_t best_rank = rank;
        for (size_t i = 0; i + 1 < n; i++) {
            const uint32_t begin = i ? ends[i - 1] : 0,
                           r = bpe_find(b, bytes + begin, ends[i + 1] - begin);
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

/* Adds the merge of a token's first `at` bytes with the rest, if both are tokens. */
static int add_split(struct bpe *b, uint32_t id, size_t at, struct error *err)
{
    size_t n;
    const char *bytes = bpe_token(&b->model, id, &n);
    const struct merge m = {bpe_find(b, bytes, at), bpe_find(b, bytes + at, n - at), id};
    return m.left == BPE_NONE || m.right == BPE_NONE ? 0 : bpe_merge(b, m, err);
}

/* No known token has more than 128 bytes. For one that fills the file, the simple algorithm would
 * take hours. */
enum { LONG = 1024 };

static int find_merges(struct bpe *b, struct error *err)
{
    uint32_t ends[LONG];
    size_t n;
    bool all = true; /* tokens are merges of two */
    for (uint32_t id = 0; id < b->model.vocab_size && all; id++) {
        const char *bytes = bpe_token(&b->model, id, &n);
        if (b->model.kinds[id] != BPE_NORMAL || n < 2)
            continue;
        if (n > LONG)
            return fail(err, "token %u has %zu bytes: expected at most %d", id, n, LONG);
        all = split_token(b, bytes, n, id, ends) == 2;
        if (all && add_split(b, id, ends[0], err))
            return -1;
    }
    if (all)
        return 0;
    b->model.n_merges = 0;
    b->model.whole_words = true;
    pairmap_free(&b->pairs);
    for (uint32_t id = 0; id < b->model.vocab_size; id++) {
        bpe_token(&b->model, id, &n);
        for (size_t at = 1; b->model.kinds[id] == BPE_NORMAL && at < n; at++)
            if (add_split(b, id, at, err))
                return -1;
    }
    return 0;
}

struct bpe *bpe_read_tiktoken(const char *name, char *text, const struct bpe_hints *hints,
                              struct error *err)
{
    const struct known *known = hints && hints->n_specials ? NULL : find_known(name);
    const char *regex = hints && hints->regex ? hints->regex : known ? known->regex : NULL;
    if (!regex)
        return fail_null(err,
                         "does not name its pre-tokenizer: give --pattern gpt2, gpt4 or another "
                         "(and its special tokens by --special)");
    size_t lines = 1;
    for (const char *c = text; (c = strchr(c, '\n')); c++)
        lines++;
    struct vocabulary v;
    int status = vocabulary_create(&v, lines, err);
    if (status == 0)
        status = read_lines(&v, text, err);
    for (size_t i = 0; known && status == 0 && i < 5 && known->specials[i].name; i++)
        status = vocabulary_set(&v, known->specials[i].id, known->specials[i].name,
                                strlen(known->specials[i].name), BPE_SPECIAL, err);
    struct bpe *b = status == 0 ? vocabulary_finish(&v, regex, hints, err) : NULL;
    vocabulary_free(&v);
    if (b && find_merges(b, err)) {
        bpe_destroy(b);
        b = NULL;
    }
    return b;
}
