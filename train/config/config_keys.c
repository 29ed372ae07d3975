/* config_keys.c: the table of configuration keys. Reading, writing, comparing, checking and
 * documenting a configuration all loop over it, so a key added here is read, saved in checkpoints,
 * compared on resume and listed by `train --keys`.
 *
 * Defaults are nanoGPT's, with the model sizes of its recipe for CPUs.
 */
#include "train/config/config_keys.h"
#include "base/minmax.h"
#include "base/suggest.h"
#include "base/text_append.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
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

/* The arguments after CHANGE: default, alias, meaning; then the range of counts and numbers, or the
 * names of enums. */
#define KEY(SECTION, NAME, TYPE, CHANGE, ...)                                                      \
    {                                                                                              \
        .section = #SECTION, .name = #NAME, .type = KEY_##TYPE, .change = CHANGE_##CHANGE,         \
        .offset = offsetof(struct config, SECTION.NAME), __VA_ARGS__                               \
    }

const struct config_key config_keys[] = {
    KEY(model, n_layer, COUNT, ALLOWED, "4", "layers", "transformer blocks", 1, 1024),
    KEY(model, n_head, COUNT, NEVER, "4", "heads", "attention heads per block; divides n_embd", 1,
        1024),
    KEY(model, n_embd, COUNT, ALLOWED, "128", "d_model", "width of the residual stream", 1, 65536),
    KEY(model, block_size, COUNT, ALLOWED, "64", "n_ctx", "maximum context length in tokens", 1,
        1 << 20),
    KEY(model, vocab_size, COUNT, ALLOWED, "0", "n_vocab",
        "vocabulary size; 0: the tokenizer's; if larger, the embedding is padded in memory", 0,
        1 << 24),
    KEY(model, bias, BOOL, ALLOWED, "no", "use_bias",
        "biases in linear layers and LayerNorms, as in GPT-2"),
    KEY(model, gelu, ENUM, NEVER, "tanh", "activation", "GELU: GPT-2's approximation, or exact",
        .enums = gelus),
    KEY(model, dropout, NUMBER, ALLOWED, "0", "drop", "dropout probability; 0: none", 0, 1, true),
    KEY(data, dir, STRING, HARMLESS, "", "dataset",
        "directory of shards and tokenizer.h5, written by tokenize"),
    KEY(data, order, ENUM, BETWEEN_STEPS, "shuffled", "shuffle",
        "windows in text order, or in a seeded permutation per epoch", .enums = orders),
    KEY(data, windows, ENUM, BETWEEN_STEPS, "anywhere", "window", "where training windows begin",
        .enums = window_starts),
    KEY(data, mask_documents, BOOL, BETWEEN_STEPS, "no", "document_mask",
        "keeps attention and loss within a document"),
    KEY(optim, lr, NUMBER, ALLOWED, "0.001", "learning_rate", "peak learning rate", 0, 1e6),
    KEY(optim, min_lr, NUMBER, ALLOWED, "0.0001", "min_learning_rate",
        "learning rate after the decay; unused if constant", 0, 1e6),
    KEY(optim, schedule, ENUM, ALLOWED, "cosine", "decay_lr", "learning rate after the warm-up",
        .enums = schedules),
    KEY(optim, warmup, COUNT, ALLOWED, "100", "warmup_iters", "steps of linear warm-up", 0, 1e15),
    KEY(optim, decay_steps, COUNT, ALLOWED, "0", "lr_decay_iters",
        "step at which min_lr is reached (0: the last); wsd: length of the decay (0: a fifth of "
        "the run)",
        0, 1e15),
    KEY(optim, beta1, NUMBER, ALLOWED, "0.9", "adam_beta1", "AdamW: decay rate of the first moment",
        0, 1, true),
    KEY(optim, beta2, NUMBER, ALLOWED, "0.95", "adam_beta2",
        "AdamW: decay rate of the second moment", 0, 1, true),
    KEY(optim, eps, NUMBER, ALLOWED, "1e-08", "adam_eps",
        "AdamW: added to the root of the second moment", 1e-30, 1),
    KEY(optim, weight_decay, NUMBER, ALLOWED, "0.1", "decay",
        "AdamW: decoupled weight decay of matrices", 0, 1e6),
    KEY(optim, clip, NUMBER, ALLOWED, "1", "grad_clip",
        "maximum global gradient norm; 0: no clipping", 0, 1e30),
    KEY(train, batch_size, COUNT, BETWEEN_STEPS, "16", "batch", "rows per micro-batch", 1, 1 << 20),
    KEY(train, accumulate, COUNT, BETWEEN_STEPS, "1", "gradient_accumulation_steps",
        "micro-batches per step", 1, 1 << 20),
    KEY(train, steps, COUNT, ALLOWED, "2000", "max_iters", "optimiser steps of the run", 0, 1e15),
    KEY(train, seed, COUNT, BETWEEN_STEPS, "1337", "random_seed",
        "seed of weights, data order and dropout", 0, 0x1p64),
    KEY(train, precision, ENUM, ALLOWED, "f32", "dtype",
        "precision of matrix products; bf16 rounds their operands; weights and sums stay float32",
        .enums = precisions),
    KEY(train, recompute, ENUM, HARMLESS, "gelu", "activation_checkpointing",
        "activations the backward recomputes to save memory", .enums = recompute_names),
    KEY(train, eval_every, COUNT, HARMLESS, "250", "eval_interval",
        "steps between evaluations; 0: never", 0, 1e15),
    KEY(train, eval_tokens, COUNT, HARMLESS, "0", "eval_iters",
        "tokens of the val split read by an evaluation; 0: all", 0, 1e15),
    KEY(train, checkpoint_every, COUNT, HARMLESS, "250", "save_interval",
        "steps between checkpoints; 0: only at the end", 0, 1e15),
    KEY(train, keep, COUNT, HARMLESS, "3", "keep_last", "number of rotated checkpoints to keep", 2,
        1e6),
    KEY(train, log_every, COUNT, HARMLESS, "10", "log_interval",
        "steps between progress lines if the output is not a terminal", 1, 1e15),
    KEY(train, on_spike, ENUM, ALLOWED, "none", "spike", "response to a loss spike",
        .enums = on_spikes),
    KEY(train, spike_threshold, NUMBER, ALLOWED, "10", "spike_sigma",
        "spike: a loss this many robust standard deviations above the median", 1, 1e6),
    KEY(train, max_skipped, COUNT, ALLOWED, "5", "max_skips",
        "consecutive steps without an update that cause a rollback", 1, 1e6),
    KEY(train, log_tensors, COUNT, HARMLESS, "25", "log_grads",
        "steps between norms of every tensor in tensors.jsonl; 0: never", 0, 1e15),
    KEY(train, sample_tokens, COUNT, HARMLESS, "200", "max_new_tokens",
        "tokens of the sample generated at each evaluation; 0: none", 0, 1 << 20),
    KEY(train, tensorboard, BOOL, HARMLESS, "no", "tensorboard_log",
        "event files for TensorBoard: scalars, histograms at evaluations"),
};
_Static_assert(sizeof config_keys / sizeof *config_keys <= KEYS_MAX, "raise KEYS_MAX");
const size_t config_key_count = sizeof config_keys / sizeof *config_keys;

const struct config_key *config_key_find(const char *section, const char *name)
{
    for (size_t i = 0; i < config_key_count; i++)
        if (!strcmp(config_keys[i].section, section) && !strcmp(config_keys[i].name, name))
            return &config_keys[i];
    return NULL;
}

const struct config_key *config_key_nearest(const char *section, const char *name)
{
    const struct config_key *nearest = NULL;
    size_t smallest = SIZE_MAX;
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        const size_t distance =
            size_min(suggest_distance(name, key->name), suggest_distance(name, key->alias));
        if (distance == SIZE_MAX)
            continue;
        /* The section breaks ties. */
        const size_t score = 2 * distance + (strcmp(section, key->section) != 0);
        if (score < smallest) {
            smallest = score;
            nearest = key;
        }
    }
    return nearest;
}

const char *config_section_nearest(const char *section)
{
    static const char *const sections[] = {"model", "data", "optim", "train"};
    return suggest_nearest(section, sections, sizeof sections / sizeof *sections);
}

/* --- values --- */

static bool in_range(const struct config_key *key, double x)
{
    return x >= key->min && (key->below_max ? x < key->max : x <= key->max);
}

static bool parse_count(const struct config_key *key, const char *text, uint64_t *value)
{
    char *end;
    errno = 0;
    const uint64_t x = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)*text) || errno || *end || !in_range(key, x))
        return false;
    *value = x;
    return true;
}

static bool parse_number(const struct config_key *key, const char *text, double *value)
{
    char *end;
    const double x = strtod(text, &end);
    /* no hexadecimal, no "nan" */
    if (!*text || text[strspn(text, "0123456789+-.eE")] || *end || !isfinite(x) ||
        !in_range(key, x))
        return false;
    *value = x;
    return true;
}

static bool parse_name(const char *const *names, const char *text, int *value)
{
    for (int i = 0; names[i]; i++)
        if (!strcmp(text, names[i])) {
            *value = i;
            return true;
        }
    return false;
}

static bool parse_bool(const char *text, bool *value)
{
    static const char *const names[] = {"no", "yes", "false", "true", "off", "on", "0", "1", NULL};
    int index;
    if (!parse_name(names, text, &index))
        return false;
    *value = index % 2;
    return true;
}

/* A path that can be written to an INI file and read back: no control characters, no blanks at
 * either end, nothing that begins a comment. */
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

static bool parse(const struct config_key *key, const char *text, void *value)
{
    switch (key->type) {
    case KEY_COUNT:
        return parse_count(key, text, value);
    case KEY_NUMBER:
        return parse_number(key, text, value);
    case KEY_BOOL:
        return parse_bool(text, value);
    case KEY_ENUM:
        return parse_name(key->enums, text, value);
    case KEY_STRING:
        return parse_string(text, value);
    }
    return false;
}

enum { EXPECTED_MAX = 256 };

/* The values allowed: "a whole number from 1 to 1024", "tanh or erf". Returns text. */
static char *expected_text(const struct config_key *key, char text[EXPECTED_MAX])
{
    switch (key->type) {
    case KEY_COUNT:
        snprintf(text, EXPECTED_MAX,
                 key->max < 0x1p64 ? "a whole number from %.15g to %.15g"
                                   : "a whole number below 2^64",
                 key->min, key->max);
        break;
    case KEY_NUMBER:
        snprintf(text, EXPECTED_MAX, "a number from %.15g to %s%.15g", key->min,
                 key->below_max ? "below " : "", key->max);
        break;
    case KEY_BOOL:
        strcpy(text, "yes or no");
        break;
    case KEY_STRING:
        snprintf(text, EXPECTED_MAX,
                 "a path of fewer than %d bytes that a line of an INI file can hold",
                 CONFIG_PATH_MAX);
        break;
    case KEY_ENUM:
        strcpy(text, key->enums[0]);
        for (int i = 1; key->enums[i]; i++)
            text_append(text, EXPECTED_MAX, "%s%s", key->enums[i + 1] ? ", " : " or ",
                        key->enums[i]);
        break;
    }
    return text;
}

int config_key_set(const struct config_key *key, struct config *c, const char *text,
                   const char *where, struct error *err)
{
    char expected[EXPECTED_MAX];
    return parse(key, text, (char *)c + key->offset)
               ? 0
               : fail(err, "%s: %s.%s: expected %s, got \"%.100s\"", where, key->section, key->name,
                      expected_text(key, expected), text);
}

/* The fewest digits that read back to the same bits. */
static void print_number(double x, char text[KEY_TEXT_MAX])
{
    int digits = 15;
    do
        snprintf(text, KEY_TEXT_MAX, "%.*g", digits, x);
    while (strtod(text, NULL) != x && digits++ < 17);
}

char *config_key_get(const struct config_key *key, const struct config *c, char text[KEY_TEXT_MAX])
{
    const void *value = (const char *)c + key->offset;
    switch (key->type) {
    case KEY_COUNT:
        snprintf(text, KEY_TEXT_MAX, "%" PRIu64, *(const uint64_t *)value);
        break;
    case KEY_NUMBER:
        print_number(*(const double *)value, text);
        break;
    case KEY_BOOL:
        strcpy(text, *(const bool *)value ? "yes" : "no");
        break;
    case KEY_ENUM:
        strcpy(text, key->enums[*(const int *)value]);
        break;
    case KEY_STRING:
        strcpy(text, value);
        break;
    }
    return text;
}

bool config_key_differs(const struct config_key *key, const struct config *a,
                        const struct config *b, char *text, size_t size)
{
    char x[KEY_TEXT_MAX], y[KEY_TEXT_MAX];
    if (!strcmp(config_key_get(key, a, x), config_key_get(key, b, y)))
        return false;
    text_append(text, size, "%s%s.%s %s != %s", size && *text ? ", " : "", key->section, key->name,
                x, y);
    return true;
}

void config_help(FILE *out)
{
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        if (!i || strcmp(key->section, config_keys[i - 1].section))
            fprintf(out, "%s[%s]\n", i ? "\n" : "", key->section);
        fprintf(out, "  %-17s %-11s %s", key->name, key->initial, key->meaning);
        char expected[EXPECTED_MAX];
        if (key->type == KEY_ENUM)
            fprintf(out, " (%s)", expected_text(key, expected));
        putc('\n', out);
    }
}
