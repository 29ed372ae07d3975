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

static cJSON *parse_object(const char *text, struct error *err)
{
    cJSON *root = cJSON_Parse(text); /* rejects deep nesting */
    if (cJSON_IsObject(root))
        return root;
    cJSON_Delete(root);
    return fail_null(err, "not JSON, or not an object");
}

/* Loads vocab.json and merges.txt, given the contents of one of them. */
static struct bpe *load_pair(const char *path, cJSON *vocab, const char *merges,
                             const struct bpe_hints *hints, struct error *err)
{
    char other[PATH_MAX], *text = NULL;
    struct bpe *b = NULL;
    const char *first = vocab ? "merges.txt" : "vocab.json",
               *second = vocab ? "vocab.bpe" : "encoder.json";
    if (!find_beside(other, path, first, second))
        return fail_null(err, "%s: %s, but its directory contains neither %s nor %s", path,
                         vocab ? "a vocabulary" : "a list of merges", first, second);
    if (!(text = input_file_text(other, FOLLOW_LINKS, FILE_MAX, err)))
        return NULL;
    cJSON *parsed = vocab ? NULL : parse_object(text, err);
    if (vocab)
        b = bpe_read_merges(path, vocab, other, text, hints, err);
    else if (parsed)
        b = bpe_read_merges(other, parsed, path, merges, hints, err);
    else
        fail(err, "%s: %s", other, err->text);
    cJSON_Delete(parsed);
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
    char *text = input_file_text(path, FOLLOW_LINKS, FILE_MAX, err);
    const char *slash = strrchr(path, '/');
    struct bpe *b = NULL;
    bool is_pair = false; /* its error messages name the files */
    if (!text)
        return NULL;
    if (text[strspn(text, " \t\r\n")] == '{') {
        cJSON *root = parse_object(text, err);
        /* The values of a vocabulary are all numbers (a token may be called "model"). */
        is_pair = root && cJSON_IsNumber(root->child);
        if (root)
            b = is_pair ? load_pair(path, root, NULL, hints, err)
                        : bpe_read_hugging_face(root, hints, err);
        cJSON_Delete(root);
    } else if (is_tiktoken(text))
        b = bpe_read_tiktoken(slash ? slash + 1 : path, text, hints, err);
    else if ((is_pair = strncmp(text, "#version", 8) == 0))
        b = load_pair(path, NULL, text, hints, err);
    else
        fail(err, "not a tokenizer: expected tokenizer.h5, tokenizer.json, vocab.json, merges.txt "
                  "or a .tiktoken file");
    free(text);
    if (!b && !is_pair)
        fail(err, "%s: %s", path, err->text);
    return b;
}
