/* bpe_hugging_face.c: reads tokenizer.json of Hugging Face's tokenizers library. Byte-level BPE is
 * supported; anything else that a file requests is rejected by name, since ids would silently
 * differ.
 */
#include "data/tokenizer/vocabulary.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cJSON *get(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static const char *get_string(const cJSON *object, const char *name)
{
    const cJSON *item = get(object, name);
    return cJSON_IsString(item) ? item->valuestring : "";
}

static bool is_set(const cJSON *object, const char *name)
{
    const cJSON *item = get(object, name);
    return item && !cJSON_IsNull(item) && !cJSON_IsFalse(item) &&
           !(cJSON_IsString(item) && !item->valuestring[0]) &&
           !(cJSON_IsNumber(item) && item->valuedouble == 0);
}

/* --- what is supported --- */

static int check_model(const cJSON *root, struct error *err)
{
    static const char *const UNSUPPORTED[] = {"dropout", "continuing_subword_prefix",
                                              "end_of_word_suffix", "byte_fallback"};
    const cJSON *model = get(root, "model");
    const char *type = get_string(model, "type");
    if (!cJSON_IsObject(model))
        return fail(err, "no \"model\": not a tokenizer.json of Hugging Face");
    if (strcmp(type, "BPE") != 0 && (*type || !get(model, "merges")))
        return fail(err, "%.60s is not supported, only byte-level BPE",
                    *type ? type : "a model without a type");
    for (size_t i = 0; i < sizeof UNSUPPORTED / sizeof *UNSUPPORTED; i++)
        if (is_set(model, UNSUPPORTED[i]))
            return fail(err, "model.%s is not supported, only byte-level BPE", UNSUPPORTED[i]);
    if (!cJSON_IsObject(get(model, "vocab")) || !cJSON_IsArray(get(model, "merges")))
        return fail(err, "model.vocab and model.merges: expected an object and an array");
    if (is_set(root, "normalizer"))
        return fail(err, "the normalizer %.60s is not supported",
                    get_string(get(root, "normalizer"), "type"));
    return 0;
}

/* Returns the regular expression of a pre-tokenizer that is ByteLevel, or Split and ByteLevel. */
static const char *find_regex(const cJSON *root, struct error *err)
{
    const cJSON *p = get(root, "pre_tokenizer");
    const cJSON *list =
        strcmp(get_string(p, "type"), "Sequence") == 0 ? get(p, "pretokenizers") : NULL;
    const cJSON *step = list ? list->child : p;
    const char *regex = NULL, *type = get_string(step, "type");
    if (list && strcmp(type, "Split") == 0) {
        const char *behavior = get_string(step, "behavior");
        const bool invert = cJSON_IsTrue(get(step, "invert"));
        regex = get_string(get(step, "pattern"), "Regex");
        if (!*regex ||
            (strcmp(behavior, "Isolated") != 0 && !(strcmp(behavior, "Removed") == 0 && invert)))
            return fail_null(err,
                             "pre_tokenizer Split: expected a Regex whose matches are Isolated");
        step = step->next;
        type = get_string(step, "type");
    }
    const bool splits = !cJSON_IsFalse(get(step, "use_regex"));
    if (strcmp(type, "ByteLevel") != 0 || (list && step->next) || splits == (regex != NULL))
        return fail_null(err,
                         "the pre_tokenizer %.60s is not supported: expected ByteLevel, alone or "
                         "after one Split",
                         *type ? type : get_string(p, "type"));
    if (cJSON_IsTrue(get(step, "add_prefix_space")))
        return fail_null(err, "pre_tokenizer ByteLevel: add_prefix_space is not supported");
    return regex ? regex : "gpt2";
}

/* --- reading --- */

static int read_added(struct vocabulary *v, const cJSON *added, struct error *err)
{
    for (const cJSON *item = added ? added->child : NULL; item; item = item->next) {
        const char *content = get_string(item, "content");
        const cJSON *id = get(item, "id");
        if (!*content || !cJSON_IsNumber(id))
            return fail(err, "added_tokens: expected id and content");
        if (!cJSON_IsTrue(get(item, "special")))
            return fail(err,
                        "the added token \"%.60s\" stands for text (special: false), which is "
                        "not supported",
                        content);
        if (vocabulary_set(v, id->valuedouble, content, strlen(content), BPE_SPECIAL, err))
            return -1;
    }
    return 0;
}

/* Skips added tokens, which are usually in the vocabulary as well. */
static int read_vocab(struct vocabulary *v, const cJSON *vocab, struct error *err)
{
    for (const cJSON *item = vocab->child; item; item = item->next) {
        const double id = cJSON_IsNumber(item) ? item->valuedouble : -1;
        const struct vocabulary_token *t =
            id >= 0 && id < (double)v->limit ? &v->tokens[(size_t)id] : NULL;
        if (t && t->kind == BPE_SPECIAL && t->length == strlen(item->string) &&
            memcmp(t->bytes, item->string, t->length) == 0)
            continue;
        if (vocabulary_set_printable(v, id, item->string, err))
            return -1;
    }
    return 0;
}

/* "a b", or since 2024 ["a", "b"]. */
static int read_merge(struct bpe *b, const cJSON *item, struct error *err)
{
    const char *left = "", *right = "";
    size_t n_left = 0;
    struct merge m;
    if (cJSON_IsString(item)) {
        left = item->valuestring;
        n_left = strcspn(left, " ");
        right = left + n_left + (left[n_left] == ' ');
    } else if (cJSON_GetArraySize(item) == 2 && cJSON_IsString(item->child) &&
               cJSON_IsString(item->child->next)) {
        left = item->child->valuestring;
        n_left = strlen(left);
        right = item->child->next->valuestring;
    }
    return bpe_find_merge(b, left, n_left, right, strlen(right), &m, err) ? -1
                                                                          : bpe_merge(b, m, err);
}

static int read_merges(struct bpe *b, const cJSON *merges, struct error *err)
{
    size_t number = 0;
    for (const cJSON *item = merges->child; item; item = item->next, number++)
        if (read_merge(b, item, err))
            return fail(err, "merge %zu: %s", number, err->text);
    return 0;
}

struct bpe *bpe_read_hugging_face(cJSON *root, const struct bpe_hints *hints, struct error *err)
{
    const char *regex = check_model(root, err) == 0 ? find_regex(root, err) : NULL;
    if (!regex)
        return NULL;
    const cJSON *model = get(root, "model"), *vocab = get(model, "vocab"),
                *added = get(root, "added_tokens");
    const size_t n = (size_t)cJSON_GetArraySize(vocab) + (size_t)cJSON_GetArraySize(added);
    struct vocabulary v;
    struct bpe *b = NULL;
    if (vocabulary_create(&v, n, err) == 0 && read_added(&v, added, err) == 0 &&
        read_vocab(&v, vocab, err) == 0)
        b = vocabulary_finish(&v, hints && hints->regex ? hints->regex : regex, hints, err);
    vocabulary_free(&v);
    if (b && read_merges(b, get(model, "merges"), err)) {
        bpe_destroy(b);
        b = NULL;
    }
    if (b)
        b->model.whole_words = cJSON_IsTrue(get(model, "ignore_merges"));
    return b;
}
