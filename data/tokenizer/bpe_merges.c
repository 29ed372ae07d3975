/* bpe_merges.c: reads vocab.json and merges.txt of GPT-2 (there encoder.json and vocab.bpe): the
 * ids of tokens, and one line per merge, in order of rank, after a line "#version: 0.2". The files
 * do not name the pre-tokenizer; GPT-2's is the default.
 *
 * A token that no merge makes is special ("<|endoftext|>"). A merge may only use bytes and results
 * of earlier lines, so that there are neither gaps nor cycles.
 */
#include "data/tokenizer/vocabulary.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct bpe *read_vocab(cJSON *json, const struct bpe_hints *hints, struct error *err)
{
    struct vocabulary v;
    struct bpe *b = NULL;
    int status = vocabulary_create(&v, (size_t)cJSON_GetArraySize(json), err);
    for (const cJSON *item = json->child; item && status == 0; item = item->next)
        status = cJSON_IsNumber(item)
                     ? vocabulary_set_printable(&v, item->valuedouble, item->string, err)
                     : fail(err, "\"%.60s\": expected a number, the token's id", item->string);
    if (status == 0)
        b = vocabulary_finish(&v, hints && hints->regex ? hints->regex : "gpt2", hints, err);
    vocabulary_free(&v);
    return b;
}

/* Adds a merge, unless it uses a token that is not `made` yet, or makes one a second time. */
static int add_merge(struct bpe *b, struct merge m, bool *made, struct error *err)
{
    const uint32_t unmade = !made[m.left] ? m.left : m.right;
    const bool uses = !made[unmade];
    size_t n;
    const char *bytes = bpe_token(&b->model, uses ? unmade : m.result, &n);
    if (uses)
        return fail(err, "uses \"%.*s\", which no line above makes", (int)n, bytes);
    if (made[m.result])
        return fail(err, "makes \"%.*s\", which a line above makes, or which is a byte", (int)n,
                    bytes);
    made[m.result] = true;
    return bpe_merge(b, m, err);
}

static int read_line(struct bpe *b, const char *line, size_t n, bool *made, struct error *err)
{
    const char *space = memchr(line, ' ', n);
    const size_t n_left = space ? (size_t)(space - line) : 0;
    struct merge m;
    if (!space)
        return fail(err, "expected two tokens separated by a space, got \"%.*s\"", (int)n, line);
    return bpe_find_merge(b, line, n_left, space + 1, n - n_left - 1, &m, err)
               ? -1
               : add_merge(b, m, made, err);
}

static int read_lines(struct bpe *b, const char *text, bool *made, struct error *err)
{
    size_t number = 1;
    for (const char *line = text, *end; *line; line = end + (*end == '\n'), number++) {
        end = line + strcspn(line, "\n");
        size_t n = (size_t)(end - line);
        n -= n && line[n - 1] == '\r';
        if ((number > 1 || strncmp(line, "#version", 8) != 0) && read_line(b, line, n, made, err))
            return fail(err, "line %zu: %s", number, err->text);
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
    struct bpe *b = read_vocab(vocab, hints, err);
    bool *made = b ? calloc(b->model.vocab_size, sizeof *made) : NULL;
    if (b && !made)
        fail(err, "out of memory");
    if (!made) {
        bpe_destroy(b);
        return fail_null(err, "%s: %s", vocab_path, err->text);
    }
    for (size_t i = 0; i < BPE_BYTES; i++)
        made[b->byte_ids[i]] = true;
    if (read_lines(b, merges, made, err) == 0)
        b = mark_specials(b, made, err);
    else {
        bpe_destroy(b);
        b = NULL;
    }
    free(made);
    return b ? b : fail_null(err, "%s: %s", merges_path, err->text);
}
