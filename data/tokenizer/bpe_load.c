/* bpe_load.c: recognises the kind of a tokenizer file, by its contents rather than its name. */
#include "base/input_file.h"
#include "data/tokenizer/vocabulary.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 64 << 20 }; /* bytes: twice the largest published files */

/* Finds the file of one of two names in the directory of path. */
static bool find_beside(char found[PATH_MAX], const char *path, const char *first,
                        const char *second)
{
    const char *slash = strrchr(path, '/');
    const int n = slash ? (int)(slash - path) + 1 : 0;
    return (snprintf(found, PATH_MAX, "%.*s%s", n, path, first) < PATH_MAX &&
            access(found, R_OK) == 0) ||
           (snprintf(found, PATH_MAX, "%.*s%s", n, path, second) < PATH_MAX &&
            access(found, R_OK) == 0);
}

static cJSON *parse_object(const char *path, const char *text, struct error *err)
{
    cJSON *root = cJSON_Parse(text); /* rejects deep nesting */
    if (cJSON_IsObject(root))
        return root;
    cJSON_Delete(root);
    return fail_null(err, "%s: not JSON, or not an object", path);
}

/* tokenizer.json, or a vocabulary, whose values are all numbers (a token may be called "model"). */
static struct bpe *load_json(const char *path, const char *text, const struct bpe_hints *hints,
                             struct error *err)
{
    char merges_path[PATH_MAX], *merges = NULL;
    cJSON *root = parse_object(path, text, err);
    struct bpe *b = NULL;
    if (root && !cJSON_IsNumber(root->child))
        b = bpe_read_hugging_face(path, root, hints, err);
    else if (root && !find_beside(merges_path, path, "merges.txt", "vocab.bpe"))
        fail(err, "%s: a vocabulary, but there is no merges.txt or vocab.bpe beside it", path);
    else if (root && (merges = input_file_text_linked(merges_path, FILE_MAX, err)))
        b = bpe_read_merges(path, root, merges_path, merges, hints, err);
    free(merges);
    cJSON_Delete(root);
    return b;
}

static struct bpe *load_merges(const char *path, const char *merges, const struct bpe_hints *hints,
                               struct error *err)
{
    char vocab_path[PATH_MAX];
    if (!find_beside(vocab_path, path, "vocab.json", "encoder.json"))
        return fail_null(err, "%s: merges, but there is no vocab.json or encoder.json beside them",
                         path);
    char *text = input_file_text_linked(vocab_path, FILE_MAX, err);
    cJSON *vocab = text ? parse_object(vocab_path, text, err) : NULL;
    struct bpe *b = vocab ? bpe_read_merges(vocab_path, vocab, path, merges, hints, err) : NULL;
    cJSON_Delete(vocab);
    free(text);
    return b;
}

/* Whether the first line is like "IQ== 0". */
static bool is_tiktoken(const char *text)
{
    const size_t base64 =
        strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=");
    const size_t digits = text[base64] == ' ' ? strspn(text + base64 + 1, "0123456789") : 0;
    return base64 % 4 == 0 && base64 > 0 && digits > 0 && strchr("\r\n", text[base64 + 1 + digits]);
}

struct bpe *bpe_load(const char *path, const struct bpe_hints *hints, struct error *err)
{
    char *text = input_file_text_linked(path, FILE_MAX, err);
    struct bpe *b = NULL;
    if (!text)
        return NULL;
    if (text[strspn(text, " \t\r\n")] == '{')
        b = load_json(path, text, hints, err);
    else if (is_tiktoken(text))
        b = bpe_read_tiktoken(path, text, hints, err);
    else if (strncmp(text, "#version", 8) == 0)
        b = load_merges(path, text, hints, err);
    else
        fail(err,
             "%s: not a tokenizer: expected tokenizer.h5, tokenizer.json, vocab.json, merges.txt "
             "or a .tiktoken file",
             path);
    free(text);
    return b;
}
