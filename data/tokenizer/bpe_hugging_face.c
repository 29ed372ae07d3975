/* bpe_hugging_face.c: tokenizer.json, as the tokenizers library of Hugging Face reads and writes it. The part of it that is byte-level BPE is
 * understood; whatever else a file asks for is named and refused, since ids would differ without a word.
 */
#include "data/tokenizer/bpe_draft.h"
#include "data/tokenizer/bpe_json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const cJSON *get(const cJSON *object, const char *name)
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

/* --- what is not supported --- */

static int check_model(const char *path, const cJSON *root, struct error *err)
{
    static const char *const UNSUPPORTED[] = {"dropout", "continuing_subword_prefix",
                                              "end_of_word_suffix", "byte_fallback"};
    const cJSON *model = get(root, "model");
    const char *type = get_string(model, "type");
    if (!cJSON_IsObject(model))
        return fail(err, "%s: no \"model\": not a tokenizer.json of Hugging Face", path);
    if (strcmp(type, "BPE") != 0 && (*type || !get(model, "merges")))
        return fail(err, "%s: %.60s is not supported, only byte-level BPE", path,
                    *type ? type : "a model without a type");
    for (size_t i = 0; i < sizeof UNSUPPORTED / sizeof *UNSUPPORTED; i++)
        if (is_set(model, UNSUPPORTED[i]))
            return fail(err, "%s: model.%s is not supported, only byte-level BPE", path,
                        UNSUPPORTED[i]);
    if (!cJSON_IsObject(get(model, "vocab")) || !cJSON_IsArray(get(model, "merges")))
        return fail(err, "%s: model.vocab and model.merges: expected an object and an array", path);
    if (is_set(root, "normalizer"))
        return fail(err, "%s: the normalizer %.60s is not supported", path,
                    get_string(get(root, "normalizer"), "type"));
    return 0;
}

/* ByteLevel, alone or behind a Split; NULL, with a line, where it is anything else. */
static const char *find_regex(const char *path, const cJSON *root, struct error *err)
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
            (strcmp(behavior, "Isolated") != 0 && !(strcmp(behavior, "Removed") == 0 && invert))) {
            fail(err, "%s: pre_tokenizer Split: expected a Regex whose matches are Isolated", path);
            return NULL;
        }
        step = step->next;
        type = get_string(step, "type");
    }
    const bool cuts = !cJSON_IsFalse(get(step, "use_regex"));
    if (strcmp(type, "ByteLevel") != 0 || (list && step->next) || cuts == (regex != NULL)) {
        fail(err,
             "%s: the pre_tokenizer %.60s is not supported: expected ByteLevel, alone or behind "
             "one Split",
             path, *type ? type : get_string(p, "type"));
        return NULL;
    }
    if (cJSON_IsTrue(get(step, "add_prefix_space"))) {
        fail(err, "%s: pre_tokenizer ByteLevel: add_prefix_space is not supported", path);
        return NULL;
    }
    return regex ? regex : "gpt2";
}

/* --- reading --- */

static int read_added(struct draft *d, const cJSON *added, struct error *err)
{
    for (const cJSON *item = added ? added->child : NULL; item; item = item->next) {
        const char *content = get_string(item, "content");
        const cJSON *id = get(item, "id");
        if (!*content || !cJSON_IsNumber(id))
            return fail(err, "%s: added_tokens: expected id and content", d->path);
        if (!cJSON_IsTrue(get(item, "special")))
            return fail(err,
                        "%s: the added token \"%.60s\" stands for text (special: false): this is "
                        "not supported",
                        d->path, content);
        if (draft_set(d, id->valuedouble, content, strlen(content), BPE_SPECIAL, err) != 0)
            return -1;
    }
    return 0;
}

/* An added token is usually in the vocabulary as well. */
static int read_vocab(struct draft *d, const cJSON *vocab, struct error *err)
{
    for (const cJSON *item = vocab->child; item; item = item->next) {
        const double id = cJSON_IsNumber(item) ? item->valuedouble : -1;
        const struct draft_token *t =
            id >= 0 && id < (double)d->limit ? &d->tokens[(size_t)id] : NULL;
        if (t && t->kind == BPE_SPECIAL && t->length == strlen(item->string) &&
            memcmp(t->bytes, item->string, t->length) == 0)
            continue;
        if (draft_set_printable(d, id, item->string, err) != 0)
            return -1;
    }
    return draft_index(d, err);
}

/* "a b", or since 2024 ["a", "b"] */
static int read_merges(struct draft *d, const cJSON *merges, struct error *err)
{
    size_t number = 0;
    for (const cJSON *item = merges->child; item; item = item->next) {
        char where[40];
        snprintf(where, sizeof where, "merge %zu", number++);
        const bool pair =
            cJSON_IsArray(item) && item->child && item->child->next && !item->child->next->next;
        const char *left = cJSON_IsString(item)                  ? item->valuestring
                           : pair && cJSON_IsString(item->child) ? item->child->valuestring
                                                                 : "";
        const char *space = cJSON_IsString(item) ? strchr(left, ' ') : NULL;
        const char *right = space ? space + 1
                            : pair && cJSON_IsString(item->child->next)
                                ? item->child->next->valuestring
                                : "";
        if (draft_merge(d, left, space ? (size_t)(space - left) : strlen(left), right,
                        strlen(right), where, err) != 0)
            return -1;
    }
    return 0;
}

struct bpe *bpe_read_hugging_face(const char *path, const cJSON *root, size_t size,
                                  const struct bpe_hints *hints, struct error *err)
{
    struct draft d = {0};
    struct bpe *b = NULL;
    const char *regex;
    if (check_model(path, root, err) == 0 && (regex = find_regex(path, root, err))) {
        const cJSON *model = get(root, "model"), *added = get(root, "added_tokens");
        const size_t n =
            (size_t)cJSON_GetArraySize(get(model, "vocab")) + (size_t)cJSON_GetArraySize(added);
        if (draft_create(&d, path, size, n, err) == 0 && read_added(&d, added, err) == 0 &&
            read_vocab(&d, get(model, "vocab"), err) == 0 &&
            read_merges(&d, get(model, "merges"), err) == 0) {
            d.parts.whole_words = cJSON_IsTrue(get(model, "ignore_merges"));
            b = draft_finish(&d, hints && hints->regex ? hints->regex : regex, hints, err);
        }
    }
    draft_free(&d);
    return b;
}

/* --- writing --- */

static cJSON *byte_level(bool cuts)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "type", "ByteLevel");
    cJSON_AddFalseToObject(o, "add_prefix_space");
    cJSON_AddTrueToObject(o, "trim_offsets");
    cJSON_AddBoolToObject(o, "use_regex", cuts);
    return o;
}

static cJSON *pre_tokenizer(const struct bpe *b)
{
    const char *name = pattern_name(bpe_pattern(b));
    if (name && strcmp(name, "gpt2") == 0)
        return byte_level(true);
    cJSON *sequence = cJSON_CreateObject(), *list, *split = cJSON_CreateObject(), *pattern;
    cJSON_AddStringToObject(sequence, "type", "Sequence");
    list = cJSON_AddArrayToObject(sequence, "pretokenizers");
    cJSON_AddStringToObject(split, "type", "Split");
    pattern = cJSON_AddObjectToObject(split, "pattern");
    cJSON_AddStringToObject(pattern, "Regex", pattern_regex(bpe_pattern(b)));
    cJSON_AddStringToObject(split, "behavior", "Isolated");
    cJSON_AddFalseToObject(split, "invert");
    cJSON_AddItemToArray(list, split);
    cJSON_AddItemToArray(list, byte_level(false));
    return sequence;
}

static cJSON *added_tokens(const struct bpe *b)
{
    static const char *const OFF[] = {"single_word", "lstrip", "rstrip", "normalized"};
    const struct bpe_parts *p = bpe_get_parts(b);
    cJSON *list = cJSON_CreateArray();
    for (uint32_t i = 0; i < p->vocab_size; i++) {
        if (p->kinds[i] != BPE_SPECIAL)
            continue;
        size_t n;
        const char *name = bpe_token(b, i, &n);
        char *copy = strndup(name, n);
        cJSON *o = cJSON_CreateObject();
        cJSON_AddNumberToObject(o, "id", i);
        cJSON_AddStringToObject(o, "content", copy ? copy : "");
        for (size_t k = 0; k < sizeof OFF / sizeof *OFF; k++)
            cJSON_AddFalseToObject(o, OFF[k]);
        cJSON_AddTrueToObject(o, "special");
        cJSON_AddItemToArray(list, o);
        free(copy);
    }
    return list;
}

static cJSON *model(const struct bpe *b)
{
    static const char *const NONE[] = {"dropout", "unk_token", "continuing_subword_prefix",
                                       "end_of_word_suffix"};
    cJSON *o = cJSON_CreateObject(), *vocab = bpe_vocab_json(b), *merges;
    cJSON_AddStringToObject(o, "type", "BPE");
    for (size_t i = 0; i < sizeof NONE / sizeof *NONE; i++)
        cJSON_AddNullToObject(o, NONE[i]);
    cJSON_AddFalseToObject(o, "fuse_unk");
    cJSON_AddFalseToObject(o, "byte_fallback");
    cJSON_AddBoolToObject(o, "ignore_merges", bpe_get_parts(b)->whole_words);
    cJSON_AddItemToObject(o, "vocab", vocab);
    merges = cJSON_AddArrayToObject(o, "merges");
    bool ok = vocab && merges;
    for (size_t i = 0; i < bpe_get_parts(b)->n_merges && ok; i++) {
        char *line = bpe_merge_line(b, i);
        cJSON *item = line ? cJSON_CreateString(line) : NULL;
        ok = item && cJSON_AddItemToArray(merges, item);
        free(line);
    }
    if (ok)
        return o;
    cJSON_Delete(o);
    return NULL;
}

int bpe_save_json(const struct bpe *b, const char *folder, struct error *err)
{
    cJSON *root = cJSON_CreateObject(), *m = model(b);
    cJSON_AddStringToObject(root, "version", "1.0");
    cJSON_AddNullToObject(root, "truncation");
    cJSON_AddNullToObject(root, "padding");
    cJSON_AddItemToObject(root, "added_tokens", added_tokens(b));
    cJSON_AddNullToObject(root, "normalizer");
    cJSON_AddItemToObject(root, "pre_tokenizer", pre_tokenizer(b));
    cJSON_AddItemToObject(root, "post_processor", byte_level(true));
    cJSON_AddItemToObject(root, "decoder", byte_level(true));
    cJSON_AddItemToObject(root, "model", m);
    if (m)
        return bpe_save_text(folder, "tokenizer.json", root, err);
    cJSON_Delete(root);
    return fail(err, "%s/tokenizer.json: out of memory", folder);
}
