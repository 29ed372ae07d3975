/* bpe_merges.c: reads vocab.json and merges.txt of GPT-2 (there encoder.json and vocab.bpe): the ids
 * of tokens, and one line per merge, in order of rank, after a line "#version: 0.2". The files do not
 * name the pre-tokenizer; GPT-2's is the default.
 *
 * A token that no merge makes is special ("<|endoftext|>"). A merge may only use bytes and results of
 * earlier lines, so that there are neither gaps nor cycles.
 */
#include "data/tokenizer/vocabulary.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct bpe *read_vocab(const char *path, cJSON *json, const struct bpe_hints *hints,
                              struct error *err)
{
    struct vocabulary v;
    struct bpe *b = NULL;
    int status = vocabulary_create(&v, path, (size_t)cJSON_GetArraySize(json), err);
    for (const cJSON *item = json->child; item && status == 0; item = item->next)
        status =
            cJSON_IsNumber(item)
                ? vocabulary_set_printable(&v, item->valuedouble, item->string, err)
                : fail(err, "%s: \"%.60s\": expected a number, the token's id", path, item->string);
    if (status == 0)
        b = vocabulary_finish(&v, hints && hints->regex ? hints->regex : "gpt2", hints, err);
    vocabulary_free(&v);
    return b;
}

/* Checks a merge against `made`, the ids that it may use, and adds its result to them. */
static int check_made(const struct bpe *b, struct merge m, bool *made, const char *where,
                      struct error *err)
{
    const uint32_t unmade = !made[m.left] ? m.left : m.right;
    const bool uses = !made[unmade];
    size_t n;
    const char *bytes = bpe_token(&b->model, uses ? unmade : m.result, &n);
    if (uses)
        return fail(err, "%s: uses \"%.*s\", which no line above makes", where, (int)n, bytes);
    if (made[m.result])
        return fail(err, "%s: makes \"%.*s\", which a line above makes, or which is a byte", where,
                    (int)n, bytes);
    made[m.result] = true;
    return 0;
}

static int read_lines(struct bpe *b, const char *path, const char *text, bool *made,
                      struct error *err)
{
    size_t line = 0;
    for (const char *begin = text, *end; *begin; begin = end + (*end == '\n')) {
        line++;
        end = begin + strcspn(begin, "\n");
        size_t n = (size_t)(end - begin);
        n -= n && begin[n - 1] == '\r';
        if (line == 1 && strncmp(begin, "#version", 8) == 0)
            continue;
        char where[512];
        snprintf(where, sizeof where, "%.440s: line %zu", path, line);
        const char *space = memchr(begin, ' ', n);
        if (!space)
            return fail(err, "%s: expected two tokens separated by a space, got \"%.*s\"", where,
                        (int)n, begin);
        const size_t n_left = (size_t)(space - begin);
        struct merge m;
        if (bpe_find_merge(b, where, begin, n_left, space + 1, n - n_left - 1, &m, err) != 0 ||
            check_made(b, m, made, where, err) != 0 || bpe_merge(b, m, err) != 0)
            return -1;
    }
    return 0;
}

/* Creates the model again, with tokens that were not made as special tokens. */
static struct bpe *mark_specials(struct bpe *b, const bool *made, struct error *err)
{
    struct bpe_model model = b->model;
    b->model = (struct bpe_model){0};
    bpe_destroy(b);
    for (size_t i = 0; i < model.vocab_size; i++)
        if (model.kinds[i] == BPE_NORMAL && !made[i])
            model.kinds[i] = BPE_SPECIAL;
    return bpe_create(&model, err);
}

struct bpe *bpe_read_merges(const char *vocab_path, cJSON *vocab, const char *merges_path,
                            const char *merges, const struct bpe_hints *hints, struct error *err)
{
    struct bpe *b = read_vocab(vocab_path, vocab, hints, err);
    bool *made = b ? calloc(b->model.vocab_size, sizeof *made) : NULL;
    struct error detail;
    if (b && !made)
        fail(err, "%s: out of memory", vocab_path);
    for (size_t i = 0; made && i < BPE_BYTES; i++)
        made[b->byte_ids[i]] = true;
    if (!made || read_lines(b, merges_path, merges, made, err) != 0) {
        bpe_destroy(b);
        b = NULL;
    } else if (!(b = mark_specials(b, made, &detail)))
        fail(err, "%s: %s", merges_path, detail.text);
    free(made);
    return b;
}
