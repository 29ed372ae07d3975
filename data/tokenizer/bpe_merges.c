/* bpe_merges.c: vocab.json and merges.txt, as GPT-2 has them (encoder.json and vocab.bpe there): ids of tokens; and a line for each merge,
 * in the order of their ranks, under a line "#version: 0.2". They do not say how a text is cut into words: GPT-2's way, unless told.
 *
 * A token that no line makes is special ("<|endoftext|>"). A line may only use what a line above has made: so there are no gaps, and
 * no cycles.
 */
#include "base/atomic.h"
#include "data/tokenizer/bpe_draft.h"
#include "data/tokenizer/bpe_json.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_vocab(struct draft *d, const cJSON *json, struct error *err)
{
    for (const cJSON *item = json->child; item; item = item->next)
        if (!cJSON_IsNumber(item))
            return fail(err, "%s: \"%.60s\": expected a number, the token's id", d->path,
                        item->string);
        else if (draft_set_printable(d, item->valuedouble, item->string, err) != 0)
            return -1;
    return draft_index(d, err);
}

/* What the line uses must be there: `made` says so of each id. */
static int check_made(const struct draft *d, bool *made, const char *path, size_t line,
                      struct error *err)
{
    const struct merge m = d->parts.merges[d->parts.n_merges - 1];
    const uint32_t missing = !made[m.left] ? m.left : m.right;
    if (!made[missing])
        return fail(err, "%s: line %zu: uses \"%.*s\", which no line above makes", path, line,
                    (int)d->tokens[missing].length, d->tokens[missing].bytes);
    if (made[m.result])
        return fail(err,
                    "%s: line %zu: makes \"%.*s\", which a line above makes, or which is a byte",
                    path, line, (int)d->tokens[m.result].length, d->tokens[m.result].bytes);
    made[m.result] = true;
    return 0;
}

static int read_lines(struct draft *d, char *text, bool *made, struct error *err)
{
    const char *const path = d->path;
    size_t line = 0;
    for (char *begin = text, *end; *begin; begin = end) {
        line++;
        end = begin + strcspn(begin, "\n");
        size_t n = (size_t)(end - begin);
        end += *end == '\n';
        n -= n && begin[n - 1] == '\r';
        if (line == 1 && strncmp(begin, "#version", 8) == 0)
            continue;
        char where[40];
        snprintf(where, sizeof where, "line %zu", line);
        const char *space = memchr(begin, ' ', n);
        if (!space)
            return fail(err, "%s: %s: expected two tokens with a space between them, got \"%.*s\"",
                        path, where, (int)n, begin);
        const size_t n_left = (size_t)(space - begin);
        if (draft_merge(d, begin, n_left, space + 1, n - n_left - 1, where, err) != 0 ||
            check_made(d, made, path, line, err) != 0)
            return -1;
    }
    return 0;
}

struct bpe *bpe_read_merges(const char *vocab_path, const cJSON *vocab, size_t size,
                            const char *merges_path, char *merges, const struct bpe_hints *hints,
                            struct error *err)
{
    struct draft d = {0};
    struct bpe *b = NULL;
    bool *made = NULL;
    if (draft_create(&d, vocab_path, size, (size_t)cJSON_GetArraySize(vocab), err) != 0 ||
        read_vocab(&d, vocab, err) != 0)
        goto out;
    if (!(made = calloc(d.n + 1, sizeof *made))) {
        fail(err, "%s: out of memory", vocab_path);
        goto out;
    }
    for (size_t i = 0; i < d.n; i++)
        made[i] = d.tokens[i].kind == BPE_NORMAL && d.tokens[i].length == 1;
    d.path = merges_path;
    if (read_lines(&d, merges, made, err) != 0)
        goto out;
    for (size_t i = 0; i < d.n; i++)
        if (d.tokens[i].kind == BPE_NORMAL && !made[i])
            d.tokens[i].kind = BPE_SPECIAL;
    b = draft_finish(&d, hints && hints->regex ? hints->regex : "gpt2", hints, err);
out:
    free(made);
    draft_free(&d);
    return b;
}

/* --- writing --- */

/* A token as both files write it. The caller frees it. */
static char *printable(const struct bpe *b, uint32_t id)
{
    size_t n;
    const char *bytes = bpe_token(b, id, &n);
    char *text = malloc(2 * n + 1);
    if (!text)
        return NULL;
    if (bpe_get_parts(b)->kinds[id] == BPE_NORMAL)
        bytes_to_printable(bytes, n, text);
    else
        snprintf(text, n + 1, "%.*s", (int)n, bytes);
    return text;
}

cJSON *bpe_vocab_json(const struct bpe *b)
{
    const struct bpe_parts *p = bpe_get_parts(b);
    cJSON *vocab = cJSON_CreateObject();
    bool ok = vocab != NULL;
    for (uint32_t i = 0; i < p->vocab_size && ok; i++) {
        char *name = p->kinds[i] == BPE_UNUSED ? NULL : printable(b, i);
        ok = p->kinds[i] == BPE_UNUSED || (name && cJSON_AddNumberToObject(vocab, name, i));
        free(name);
    }
    if (ok)
        return vocab;
    cJSON_Delete(vocab);
    return NULL;
}

char *bpe_merge_line(const struct bpe *b, size_t rank)
{
    const struct merge m = bpe_get_parts(b)->merges[rank];
    char *left = printable(b, m.left), *right = printable(b, m.right), *line = NULL;
    if (left && right && asprintf(&line, "%s %s", left, right) < 0)
        line = NULL;
    free(left);
    free(right);
    return line;
}

static int save(const char *folder, const char *name, const char *text, struct error *err)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= PATH_MAX)
        return fail(err, "%s: too long a path", folder);
    return text ? atomic_write(path, text, strlen(text), err)
                : fail(err, "%s: out of memory", path);
}

int bpe_save_text(const char *folder, const char *name, cJSON *json, struct error *err)
{
    char *text = json ? cJSON_Print(json) : NULL;
    const int status = save(folder, name, text, err);
    free(text);
    cJSON_Delete(json);
    return status;
}

int bpe_save_merges(const struct bpe *b, const char *folder, struct error *err)
{
    if (bpe_save_text(folder, "vocab.json", bpe_vocab_json(b), err) != 0)
        return -1;
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    bool ok = f && fputs("#version: 0.2\n", f) >= 0;
    for (size_t i = 0; i < bpe_get_parts(b)->n_merges && ok; i++) {
        char *line = bpe_merge_line(b, i);
        ok = line && fprintf(f, "%s\n", line) > 0;
        free(line);
    }
    ok = f && fclose(f) == 0 && ok;
    const int status = save(folder, "merges.txt", ok ? text : NULL, err);
    free(text);
    return status;
}
