/* config_keys.c: the one table of configuration keys. Reading, writing, comparing, checking and explaining a configuration all
 * walk it, so that a key added here is read, saved in checkpoints, compared on resume and shown by --help.
 *
 * Defaults are nanoGPT's where a small model on a CPU wants the same, which is nearly everywhere; the sizes are those of its
 * recipe for a CPU.
 */
#include "train/config/config_keys.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In the order of the enums they name. */
static const char *const gelus[] = {"tanh", "erf", NULL};
static const char *const orders[] = {"sequential", "shuffled", NULL};
static const char *const window_starts[] = {"anywhere", "documents", NULL};
static const char *const schedules[] = {"constant", "linear", "cosine", "wsd", NULL};
static const char *const on_spikes[] = {"none", "skip", "rollback", NULL};
static const char *const precisions[] = {"f32", "bf16", NULL};
const char *const recompute_names[] = {
    [RECOMPUTE_NONE] = "none", [RECOMPUTE_GELU] = "gelu", [RECOMPUTE_BLOCK] = "block", NULL};

/* clang-format off */
#define AT(section, name) #section, #name
#define COUNT(section, name, initial, min, max, alias, meaning) \
    {AT(section, name), KEY_COUNT, offsetof(struct config, section.name), initial, min, max, false, NULL, alias, meaning}
#define NUMBER(section, name, initial, min, max, below, alias, meaning) \
    {AT(section, name), KEY_NUMBER, offsetof(struct config, section.name), initial, min, max, below, NULL, alias, meaning}
#define BOOL(section, name, initial, alias, meaning) \
    {AT(section, name), KEY_BOOL, offsetof(struct config, section.name), initial, 0, 0, false, NULL, alias, meaning}
#define ENUM(section, name, initial, enums, alias, meaning) \
    {AT(section, name), KEY_ENUM, offsetof(struct config, section.name), initial, 0, 0, false, enums, alias, meaning}
#define STRING(section, name, initial, alias, meaning) \
    {AT(section, name), KEY_STRING, offsetof(struct config, section.name), initial, 0, 0, false, NULL, alias, meaning}

const struct config_key config_keys[] = {
    COUNT(model, n_layer, "4", 1, 1024, "layers", "transformer blocks"),
    COUNT(model, n_head, "4", 1, 1024, "heads", "attention heads of a block; divides n_embd"),
    COUNT(model, n_embd, "128", 1, 65536, "d_model", "width of the residual stream"),
    COUNT(model, block_size, "64", 1, 1 << 20, "n_ctx", "longest context, in tokens"),
    COUNT(model, vocab_size, "0", 0, 1 << 24, "n_vocab", "symbols; 0: the tokenizer's; more than it has: padded in memory"),
    BOOL(model, bias, "no", "use_bias", "biases in linear layers and LayerNorms; GPT-2 has them"),
    ENUM(model, gelu, "tanh", gelus, "activation", "form of the activation: GPT-2's approximation, or exact"),
    NUMBER(model, dropout, "0", 0, 1, true, "drop", "probability of a zero; 0: none"),

    STRING(data, dir, "", "dataset", "folder of shards and tokenizer.h5, as tokenize writes it"),
    ENUM(data, order, "shuffled", orders, "shuffle", "windows in the order of the text, or a seeded permutation each epoch"),
    ENUM(data, windows, "anywhere", window_starts, "window", "where training windows begin"),
    BOOL(data, mask_documents, "no", "document_mask", "keeps attention and the loss inside a document"),

    NUMBER(optim, lr, "0.001", 0, 1e6, false, "learning_rate", "learning rate at its highest"),
    NUMBER(optim, min_lr, "0.0001", 0, 1e6, false, "min_learning_rate", "learning rate at the end of the decay; constant ignores it"),
    ENUM(optim, schedule, "cosine", schedules, "decay_lr", "course of the learning rate after the warm-up"),
    COUNT(optim, warmup, "100", 0, 1e15, "warmup_iters", "steps over which the learning rate rises"),
    COUNT(optim, decay_steps, "0", 0, 1e15, "lr_decay_iters", "step at which min_lr is reached; wsd: length of the decay; 0: the run; wsd: a fifth of it"),
    NUMBER(optim, beta1, "0.9", 0, 1, true, "adam_beta1", "AdamW: decay of the mean of gradients"),
    NUMBER(optim, beta2, "0.95", 0, 1, true, "adam_beta2", "AdamW: decay of the mean of squared gradients"),
    NUMBER(optim, eps, "1e-08", 1e-30, 1, false, "adam_eps", "AdamW: added to the root"),
    NUMBER(optim, weight_decay, "0.1", 0, 1e6, false, "decay", "AdamW: decoupled decay, of matrices only"),
    NUMBER(optim, clip, "1", 0, 1e30, false, "grad_clip", "largest global norm of the gradient; 0: no clipping"),

    COUNT(train, batch_size, "16", 1, 1 << 20, "batch", "rows of a micro-batch"),
    COUNT(train, accumulate, "1", 1, 1 << 20, "gradient_accumulation_steps", "micro-batches of a step"),
    COUNT(train, steps, "2000", 0, 1e15, "max_iters", "optimiser steps of the run"),
    COUNT(train, seed, "1337", 0, 0x1p64, "random_seed", "of weights, data order and dropout"),
    ENUM(train, precision, "f32", precisions, "dtype", "of the products: bf16 rounds their operands; weights, sums and all else stay float"),
    ENUM(train, recompute, "gelu", recompute_names, "activation_checkpointing", "what a backward computes again rather than keeps in memory"),
    COUNT(train, eval_every, "250", 0, 1e15, "eval_interval", "steps between evaluations; 0: never"),
    COUNT(train, eval_tokens, "0", 0, 1e15, "eval_iters", "tokens of the val split an evaluation reads; 0: all"),
    COUNT(train, checkpoint_every, "250", 0, 1e15, "save_interval", "steps between checkpoints; 0: only at the end"),
    COUNT(train, keep, "3", 2, 1e6, "keep_last", "rotated checkpoints that stay"),
    COUNT(train, log_every, "10", 1, 1e15, "log_interval", "steps between progress lines where the output is no terminal"),
    ENUM(train, on_spike, "none", on_spikes, "spike", "what a loss far above the last ones leads to"),
    NUMBER(train, spike_threshold, "10", 1, 1e6, false, "spike_sigma", "how far above their median, in robust standard deviations"),
    COUNT(train, max_skipped, "5", 1, 1e6, "max_skips", "steps in a row without an update, before the run rolls back"),
    COUNT(train, log_tensors, "25", 0, 1e15, "log_grads", "steps between norms of every tensor in tensors.jsonl; 0: never"),
    COUNT(train, sample_tokens, "200", 0, 1 << 20, "max_new_tokens", "tokens of the text written at each evaluation; 0: none"),
    BOOL(train, tensorboard, "no", "tensorboard_log", "event files for TensorBoard: scalars, histograms at evaluations"),
};
/* clang-format on */
_Static_assert(sizeof config_keys / sizeof *config_keys <= KEYS_MAX, "raise KEYS_MAX");
const size_t config_key_count = sizeof config_keys / sizeof *config_keys;

const struct config_key *config_key_find(const char *section, const char *name)
{
    for (size_t i = 0; i < config_key_count; i++)
        if (!strcmp(config_keys[i].section, section) && !strcmp(config_keys[i].name, name))
            return &config_keys[i];
    return NULL;
}

static size_t min(size_t a, size_t b)
{
    return a < b ? a : b;
}

enum { WORD_MAX = 40 }; /* nothing longer is near any key */

/* Insertions, deletions, substitutions and swaps of neighbours that turn a into b (optimal string alignment). */
static size_t edit_distance(const char *a, const char *b)
{
    const size_t m = strlen(a), n = strlen(b);
    size_t d[WORD_MAX + 1][WORD_MAX + 1];
    if (m > WORD_MAX || n > WORD_MAX)
        return WORD_MAX;
    for (size_t i = 0; i <= m; i++)
        for (size_t j = 0; j <= n; j++) {
            if (!i || !j) {
                d[i][j] = i + j;
                continue;
            }
            const size_t gap = min(d[i - 1][j], d[i][j - 1]) + 1;
            d[i][j] = min(gap, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = min(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[m][n];
}

/* A third of the letters may differ: beyond that a suggestion is a guess. */
static bool near(size_t distance, const char *word)
{
    return distance <= (strlen(word) + 1) / 3;
}

const struct config_key *config_key_nearest(const char *section, const char *name)
{
    const struct config_key *best = NULL;
    size_t best_score = SIZE_MAX;
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        size_t distance = edit_distance(name, key->name);
        if (key->alias)
            distance = min(distance, edit_distance(name, key->alias));
        /* The section only decides between keys that are as near. */
        const size_t score = 2 * distance + (strcmp(section, key->section) != 0);
        if (near(distance, name) && score < best_score) {
            best_score = score;
            best = key;
        }
    }
    return best;
}

const char *config_section_nearest(const char *section)
{
    const char *best = NULL;
    size_t best_distance = SIZE_MAX;
    for (size_t i = 0; i < config_key_count; i++) {
        const size_t distance = edit_distance(section, config_keys[i].section);
        if (near(distance, section) && distance < best_distance) {
            best_distance = distance;
            best = config_keys[i].section;
        }
    }
    return best;
}

static bool parse_count(const char *text, uint64_t *value)
{
    char *end;
    if (!isdigit((unsigned char)*text))
        return false;
    errno = 0;
    *value = strtoull(text, &end, 10);
    return !errno && !*end;
}

static bool parse_number(const char *text, double *value)
{
    char *end;
    if (!*text || text[strspn(text, "0123456789+-.eE")]) /* no hexadecimal, no "nan" */
        return false;
    *value = strtod(text, &end);
    return !*end && isfinite(*value);
}

static bool parse_bool(const char *text, bool *value)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(text, words[i])) {
            *value = i % 2;
            return true;
        }
    return false;
}

static bool parse_enum(const char *const *names, const char *text, int *value)
{
    for (int i = 0; names[i]; i++)
        if (!strcmp(text, names[i])) {
            *value = i;
            return true;
        }
    return false;
}

/* A path that an INI file gives back as it is: no control characters, no blanks at its ends, nothing that begins a comment. */
static bool parse_string(const char *text, char *value)
{
    const size_t n = strlen(text);
    if (n >= CONFIG_PATH_MAX ||
        (n && (isspace((unsigned char)text[0]) || isspace((unsigned char)text[n - 1]))))
        return false;
    for (size_t i = 0; i < n; i++)
        if (iscntrl((unsigned char)text[i]) ||
            (text[i] == ';' && (!i || isspace((unsigned char)text[i - 1]))))
            return false;
    memcpy(value, text, n + 1);
    return true;
}

static bool in_range(const struct config_key *key, double x)
{
    return x >= key->min && (key->below_max ? x < key->max : x <= key->max);
}

int config_key_set(const struct config_key *key, struct config *c, const char *text,
                   const char *where, struct error *err)
{
    void *at = (char *)c + key->offset;
    bool good = false;
    uint64_t count;
    double number;
    switch (key->type) {
    case KEY_COUNT:
        good = parse_count(text, &count) && in_range(key, (double)count);
        if (good)
            *(uint64_t *)at = count;
        break;
    case KEY_NUMBER:
        good = parse_number(text, &number) && in_range(key, number);
        if (good)
            *(double *)at = number;
        break;
    case KEY_BOOL:
        good = parse_bool(text, at);
        break;
    case KEY_ENUM:
        good = parse_enum(key->enums, text, at);
        break;
    case KEY_STRING:
        good = parse_string(text, at);
        break;
    }
    char expected[256];
    if (!good)
        return fail(err, "%s: %s.%s: expected %s, got \"%.100s\"", where, key->section, key->name,
                    config_key_expects(key, expected, sizeof expected), text);
    return 0;
}

/* The fewest digits that read back to the same bits. */
static void print_number(double x, char *text, size_t size)
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, size, "%.*g", digits, x);
        if (strtod(text, NULL) == x)
            return;
    }
}

char *config_key_get(const struct config_key *key, const struct config *c, char text[KEY_TEXT_MAX])
{
    const void *at = (const char *)c + key->offset;
    switch (key->type) {
    case KEY_COUNT:
        snprintf(text, KEY_TEXT_MAX, "%" PRIu64, *(const uint64_t *)at);
        break;
    case KEY_NUMBER:
        print_number(*(const double *)at, text, KEY_TEXT_MAX);
        break;
    case KEY_BOOL:
        strcpy(text, *(const bool *)at ? "yes" : "no");
        break;
    case KEY_ENUM:
        snprintf(text, KEY_TEXT_MAX, "%s", key->enums[*(const int *)at]);
        break;
    case KEY_STRING:
        snprintf(text, KEY_TEXT_MAX, "%s", (const char *)at);
        break;
    }
    return text;
}

char *config_key_expects(const struct config_key *key, char *text, size_t size)
{
    size_t n = 0;
    switch (key->type) {
    case KEY_COUNT:
        if (key->max >= 0x1p64)
            snprintf(text, size, "a whole number below 2^64");
        else
            snprintf(text, size, "a whole number from %.15g to %.15g", key->min, key->max);
        break;
    case KEY_NUMBER:
        snprintf(text, size, "a number from %.15g to %s%.15g", key->min,
                 key->below_max ? "below " : "", key->max);
        break;
    case KEY_BOOL:
        snprintf(text, size, "yes or no");
        break;
    case KEY_STRING:
        snprintf(text, size, "a path of fewer than %d bytes that a line of an INI file can hold",
                 CONFIG_PATH_MAX);
        break;
    case KEY_ENUM:
        text[0] = 0;
        for (int i = 0; key->enums[i] && n < size; i++)
            n += (size_t)snprintf(text + n, size - n, "%s%s",
                                  !i                  ? ""
                                  : key->enums[i + 1] ? ", "
                                                      : " or ",
                                  key->enums[i]);
        break;
    }
    return text;
}

void config_help(FILE *out)
{
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        if (!i || strcmp(key->section, config_keys[i - 1].section))
            fprintf(out, "%s[%s]\n", i ? "\n" : "", key->section);
        char expected[256];
        if (key->type == KEY_ENUM)
            fprintf(out, "  %-17s %-11s %s (%s)\n", key->name, key->initial, key->meaning,
                    config_key_expects(key, expected, sizeof expected));
        else
            fprintf(out, "  %-17s %-11s %s\n", key->name, key->initial, key->meaning);
    }
}
