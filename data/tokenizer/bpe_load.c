/* bpe_load.c: which kind of tokenizer file a file is: by what it holds, not by its name. */
#include "data/tokenizer/bpe_draft.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The first of these names that lies beside path. */
static bool find_beside(char beside[PATH_MAX], const char *path, const char *const names[2])
{
    const char *slash = strrchr(path, '/');
    for (int i = 0; i < 2; i++)
        if (snprintf(beside, PATH_MAX, "%.*s%s", slash ? (int)(slash - path) + 1 : 0, path,
                     names[i]) < PATH_MAX &&
            access(beside, R_OK) == 0)
            return true;
    return false;
}

/* A JSON file: tokenizer.json, or a vocabulary. */
static struct bpe *load_json(const char *path, const char *text, size_t size,
                             const struct bpe_hints *hints, struct error *err)
{
    static const char *const MERGES[2] = {"merges.txt", "vocab.bpe"};
    char beside[PATH_MAX];
    cJSON *root = cJSON_ParseWithLength(text, size); /* which refuses deep nesting */
    struct bpe *b = NULL;
    char *merges = NULL;
    size_t ignored;
    if (!cJSON_IsObject(root))
        fail(err, "%s: not JSON, or not an object", path);
    else if (
        !cJSON_IsNumber(
            root->child)) /* of a vocabulary all are numbers, tokens that are called "model" too */
        b = bpe_read_hugging_face(path, root, size, hints, err);
    else if (!find_beside(beside, path, MERGES))
        fail(err, "%s: a vocabulary, but beside it is no %s (or %s)", path, MERGES[0], MERGES[1]);
    else if ((merges = bpe_read_file(beside, &ignored, err)))
        b = bpe_read_merges(path, root, size, beside, merges, hints, err);
    free(merges);
    cJSON_Delete(root);
    return b;
}

/* A list of merges: the vocabulary lies beside it. */
static struct bpe *load_merges(const char *path, char *merges, const struct bpe_hints *hints,
                               struct error *err)
{
    static const char *const VOCABS[2] = {"vocab.json", "encoder.json"};
    char beside[PATH_MAX];
    size_t size;
    if (!find_beside(beside, path, VOCABS)) {
        fail(err, "%s: a list of merges, but beside it is no %s (or %s)", path, VOCABS[0],
             VOCABS[1]);
        return NULL;
    }
    char *text = bpe_read_file(beside, &size, err);
    cJSON *vocab = text ? cJSON_ParseWithLength(text, size) : NULL;
    struct bpe *b = NULL;
    if (text && !cJSON_IsObject(vocab))
        fail(err, "%s: expected a JSON object of tokens and their ids", beside);
    else if (text)
        b = bpe_read_merges(beside, vocab, size, path, merges, hints, err);
    cJSON_Delete(vocab);
    free(text);
    return b;
}

/* A first line "IQ== 0" */
static bool looks_like_ranks(const char *text)
{
    const size_t base64 =
        strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=");
    const size_t digits = text[base64] == ' ' ? strspn(text + base64 + 1, "0123456789") : 0;
    return base64 % 4 == 0 && base64 > 0 && digits > 0 && strchr("\r\n", text[base64 + 1 + digits]);
}

struct bpe *bpe_load(const char *path, const struct bpe_hints *hints, struct error *err)
{
    size_t size;
    char *text = bpe_read_file(path, &size, err);
    struct bpe *b = NULL;
    if (!text)
        return NULL;
    if (text[strspn(text, " \t\r\n")] == '{')
        b = load_json(path, text, size, hints, err);
    else if (looks_like_ranks(text))
        b = bpe_read_tiktoken(path, text, size, hints, err);
    else if (strncmp(text, "#version", 8) == 0)
        b = load_merges(path, text, hints, err);
    else
        fail(err,
             "%s: not a tokenizer: expected tokenizer.h5, tokenizer.json, vocab.json or "
             "merges.txt, or a .tiktoken file",
             path);
    free(text);
    return b;
}
