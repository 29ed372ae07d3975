/* bpe_export.c: writes tokenizer.json, or vocab.json and merges.txt. */
#include "base/atomic.h"
#include "data/tokenizer/vocabulary.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A token in the characters of all three files. The caller frees it. NULL if memory is short. */
static char *printable(const struct bpe *b, uint32_t id)
{
    size_t n;
    const char *bytes = bpe_token(&b->model, id, &n);
    if (b->model.kinds[id] != BPE_NORMAL)
        return strndup(bytes, n);
    char *text = malloc(2 * n + 1);
    if (text)
        bytes_to_printable(bytes, n, text);
    return text;
}

/* "left right", likewise. */
static char *merge_line(const struct bpe *b, size_t rank)
{
    const struct merge m = b->model.merges[rank];
    char *left = printable(b, m.left), *right = printable(b, m.right), *line = NULL;
    if (left && right && asprintf(&line, "%s %s", left, right) < 0)
        line = NULL;
    free(left);
    free(right);
    return line;
}

static int save(const char *dir, const char *name, const char *text, struct error *err)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= PATH_MAX)
        return fail(err, "%s: the path is too long", dir);
    return text ? atomic_write(path, text, strlen(text), err)
                : fail(err, "%s: out of memory", path);
}

/* Also deletes json, which is NULL if memory was short. */
static int save_json(const char *dir, const char *name, cJSON *json, struct error *err)
{
    char *text = json ? cJSON_Print(json) : NULL;
    const int status = save(dir, name, text, err);
    free(text);
    cJSON_Delete(json);
    return status;
}

/* Returns json, or NULL after deleting it if something failed. */
static cJSON *complete(cJSON *json, bool ok)
{
    if (ok)
        return json;
    cJSON_Delete(json);
    return NULL;
}

/* {"token": id, ...} */
static cJSON *vocab_json(const struct bpe *b)
{
    cJSON *vocab = cJSON_CreateObject();
    bool ok = vocab != NULL;
    for (uint32_t i = 0; i < b->model.vocab_size && ok; i++) {
        if (b->model.kinds[i] == BPE_UNUSED)
            continue;
        char *name = printable(b, i);
        ok = name && cJSON_AddNumberToObject(vocab, name, i);
        free(name);
    }
    return complete(vocab, ok);
}

int bpe_save_merges(const struct bpe *b, const char *dir, struct error *err)
{
    if (save_json(dir, "vocab.json", vocab_json(b), err))
        return -1;
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    bool ok = f && fputs("#version: 0.2\n", f) >= 0;
    for (size_t i = 0; i < b->model.n_merges && ok; i++) {
        char *line = merge_line(b, i);
        ok = line && fprintf(f, "%s\n", line) > 0;
        free(line);
    }
    ok = f && fclose(f) == 0 && ok;
    const int status = save(dir, "merges.txt", ok ? text : NULL, err);
    free(text);
    return status;
}

/* --- tokenizer.json --- */

#define BYTE_LEVEL(use_regex)                                                                      \
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_"              \
    "regex\":" use_regex "}"
#define TOKENIZER_JSON(pre_tokenizer)                                                              \
    "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[],"               \
    "\"normalizer\":null,\"pre_tokenizer\":" pre_tokenizer                                         \
    ",\"post_processor\":" BYTE_LEVEL("true") ",\"decoder\":" BYTE_LEVEL(                          \
        "true") ",\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,"                \
                "\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,\"fuse_unk\":"     \
                "false,"                                                                           \
                "\"byte_fallback\":false,\"ignore_merges\":false,\"vocab\":{},\"merges\":[]}}"
/* GPT-2's pre-tokenizer is that of ByteLevel; others precede it as a Split. */
static const char GPT2[] = TOKENIZER_JSON(BYTE_LEVEL("true"));
static const char OTHERS[] = TOKENIZER_JSON(
    "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\"},"
    "\"behavior\":\"Isolated\",\"invert\":false}," BYTE_LEVEL("false") "]}");

static cJSON *added_tokens(const struct bpe *b)
{
    cJSON *list = cJSON_CreateArray();
    bool ok = list != NULL;
    for (uint32_t i = 0; i < b->model.vocab_size && ok; i++) {
        if (b->model.kinds[i] != BPE_SPECIAL)
            continue;
        char *name = printable(b, i);
        cJSON *o = cJSON_Parse("{\"id\":0,\"content\":\"\",\"single_word\":false,\"lstrip\":false,"
                               "\"rstrip\":false,\"normalized\":false,\"special\":true}");
        ok = name && cJSON_AddItemToArray(list, o) &&
             cJSON_ReplaceItemInObject(o, "id", cJSON_CreateNumber(i)) &&
             cJSON_ReplaceItemInObject(o, "content", cJSON_CreateString(name));
        free(name);
    }
    return complete(list, ok);
}

static cJSON *merges_json(const struct bpe *b)
{
    cJSON *list = cJSON_CreateArray();
    bool ok = list != NULL;
    for (size_t i = 0; i < b->model.n_merges && ok; i++) {
        char *line = merge_line(b, i);
        ok = line && cJSON_AddItemToArray(list, cJSON_CreateString(line));
        free(line);
    }
    return complete(list, ok);
}

int bpe_save_json(const struct bpe *b, const char *dir, struct error *err)
{
    const char *name = b->pattern->name;
    const bool gpt2 = name && strcmp(name, "gpt2") == 0;
    cJSON *root = cJSON_Parse(gpt2 ? GPT2 : OTHERS), *model = cJSON_GetObjectItem(root, "model"),
          *split = cJSON_GetObjectItem(cJSON_GetObjectItem(root, "pre_tokenizer"), "pretokenizers");
    bool ok =
        cJSON_ReplaceItemInObject(root, "added_tokens", added_tokens(b)) &&
        cJSON_ReplaceItemInObject(model, "ignore_merges", cJSON_CreateBool(b->model.whole_words)) &&
        cJSON_ReplaceItemInObject(model, "vocab", vocab_json(b)) &&
        cJSON_ReplaceItemInObject(model, "merges", merges_json(b));
    if (split)
        ok = ok && cJSON_ReplaceItemInObject(cJSON_GetObjectItem(split->child, "pattern"), "Regex",
                                             cJSON_CreateString(b->pattern->regex));
    return save_json(dir, "tokenizer.json", complete(root, ok), err);
}
