/* config.c: reads and writes INI files, and checks what involves several keys. inih parses the
 * lines; config_keys.c handles single keys and their values. */
#include "train/config/config.h"
#include "base/input_file.h"
#include <ctype.h>
#include <ini.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Variables in Debian's build of inih. Other builds fix these limits at compile time and lack the
 * symbols, hence weak. */
extern bool ini_use_stack __attribute__((weak));
extern int ini_max_line __attribute__((weak)), ini_initial_alloc __attribute__((weak));

enum {
    FILE_MAX = 1 << 20, /* bytes */
    LINE_LIMIT = CONFIG_PATH_MAX + 512
};

/* The state shared by inih's callbacks: read_line and take_key. */
struct parse {
    struct config *config;
    const char *rest;          /* of the text, not yet read */
    const char *name;          /* of the file */
    unsigned line;             /* current line, from 1 */
    char where[256];           /* "NAME:LINE", for errors */
    unsigned set_in[KEYS_MAX]; /* the line that set a key, or 0 */
    bool failed;
    struct error *err;
};

void config_defaults(struct config *c)
{
    struct error err;
    memset(c, 0, sizeof *c);
    for (size_t i = 0; i < config_key_count; i++)
        if (config_key_set(&config_keys[i], c, config_keys[i].initial, "defaults", &err))
            abort(); /* a default in the table is invalid; the tests check them all */
}

static int unknown_key(const char *where, const char *section, const char *name, struct error *err)
{
    const struct config_key *nearest = config_key_nearest(section, name);
    return nearest ? fail(err, "%s: unknown key %.60s.%.60s; did you mean %s.%s?", where, section,
                          name, nearest->section, nearest->name)
                   : fail(err, "%s: unknown key %.60s.%.60s; train --keys lists them", where,
                          section, name);
}

/* Checks a line that begins with '['. inih ignores text after the bracket and reports a section
 * only with its first key. */
static int check_section(const char *where, const char *line, struct error *err)
{
    char section[64];
    const char *close = strchr(line, ']');
    if (!close)
        return fail(err, "%s: expected \"]\" after the section's name", where);
    const char *tail = close + 1 + strspn(close + 1, " \t\r\n");
    if (*tail && *tail != ';')
        return fail(err, "%s: expected the end of the line after \"]\"", where);
    snprintf(section, sizeof section, "%.*s", (int)(close - line - 1), line + 1);
    const char *nearest = config_section_nearest(section);
    if (!nearest)
        return fail(err, "%s: unknown section [%s]; there are [model], [data], [optim] and [train]",
                    where, section);
    if (strcmp(nearest, section))
        return fail(err, "%s: unknown section [%s]; did you mean [%s]?", where, section, nearest);
    return 0;
}

/* The fgets that inih calls. Strips leading blanks, because inih would join an indented line to the
 * previous value, and rejects lines that inih would cut off. */
static char *read_line(char *buffer, int size, void *user)
{
    struct parse *p = user;
    if (p->failed || !*p->rest)
        return NULL;
    snprintf(p->where, sizeof p->where, "%.200s:%u", p->name, ++p->line);
    const char *line = p->rest + strspn(p->rest, " \t");
    const size_t n = strcspn(line, "\n");
    p->rest = line + n + (line[n] == '\n');
    for (size_t i = 0; i < n && !p->failed; i++)
        if (iscntrl((unsigned char)line[i]) && line[i] != '\t' && !(line[i] == '\r' && i + 1 == n))
            p->failed = fail(p->err, "%s: not a text file (a byte 0x%02x)", p->where,
                             (unsigned char)line[i]);
    if (!p->failed && n + 2 > (size_t)size)
        p->failed =
            fail(p->err, "%s: expected a line of at most %d bytes, got %zu", p->where, size - 2, n);
    if (p->failed)
        return NULL;
    memcpy(buffer, line, n);
    memcpy(buffer + n, "\n", 2);
    if (*buffer == '[')
        p->failed = check_section(p->where, buffer, p->err);
    return p->failed ? NULL : buffer;
}

/* The handler that inih calls for each key. Returns 0 on error. */
static int take_key(void *user, const char *section, const char *name, const char *value)
{
    struct parse *p = user;
    if (p->failed)
        return 0;
    const struct config_key *key = config_key_find(section, name);
    if (!*section)
        p->failed = fail(p->err, "%s: %.60s precedes the first [section]", p->where, name);
    else if (!key)
        p->failed = unknown_key(p->where, section, name, p->err);
    else if (p->set_in[key - config_keys])
        p->failed = fail(p->err, "%s: %s.%s is already set in line %u", p->where, section, name,
                         p->set_in[key - config_keys]);
    else {
        p->set_in[key - config_keys] = p->line;
        p->failed = config_key_set(key, p->config, value, p->where, p->err);
    }
    return !p->failed;
}

int config_parse(struct config *c, const char *text, const char *name, struct error *err)
{
    struct parse p = {.config = c, .rest = text, .name = name, .err = err};
    if (&ini_use_stack && &ini_max_line && &ini_initial_alloc) {
        ini_use_stack = false;
        ini_max_line = ini_initial_alloc = LINE_LIMIT;
    }
    config_defaults(c);
    const int status = ini_parse_stream(read_line, &p, take_key, &p);
    if (p.failed)
        return -1;
    if (status > 0)
        return fail(err, "%s:%d: expected \"key = value\" or \"[section]\"", name, status);
    return status ? fail(err, "%s: out of memory", name) : 0;
}

int config_load(struct config *c, const char *path, struct error *err)
{
    char *text = input_file_text(path, NO_LINKS, FILE_MAX, err);
    if (!text)
        return -1;
    const int status = config_parse(c, text, path, err);
    free(text);
    return status;
}

int config_set(struct config *c, const char *assignment, struct error *err)
{
    char section[64], name[64];
    int end = 0;
    sscanf(assignment, "%63[^.= \t].%63[^= \t]%n", section, name, &end);
    const char *value = assignment + end + strspn(assignment + end, " \t");
    if (!end || *value != '=') {
        const struct config_key *key =
            sscanf(assignment, "%63[^.= \t]", name) == 1 ? config_key_nearest("", name) : NULL;
        return key ? fail(err, "--set %.200s: expected section.key=value, such as %s.%s=%s",
                          assignment, key->section, key->name, key->initial)
                   : fail(err, "--set %.200s: expected section.key=value", assignment);
    }
    value += 1 + strspn(value + 1, " \t");
    const struct config_key *key = config_key_find(section, name);
    return key ? config_key_set(key, c, value, "--set", err)
               : unknown_key("--set", section, name, err);
}

int config_check(const struct config *c, const char *name, struct error *err)
{
    if (c->model.n_embd % c->model.n_head)
        return fail(err, "%s: model.n_embd: %" PRIu64 " is not divisible by model.n_head %" PRIu64,
                    name, c->model.n_embd, c->model.n_head);
    /* Positions in the training data are 64-bit numbers. */
    uint64_t tokens = c->model.block_size;
    if (__builtin_mul_overflow(tokens, c->train.batch_size, &tokens) ||
        __builtin_mul_overflow(tokens, c->train.accumulate, &tokens) ||
        __builtin_mul_overflow(tokens, c->train.steps + 1, &tokens) || tokens > INT64_MAX)
        return fail(err, "%s: train.steps: %" PRIu64 " steps read more than 2^63 tokens", name,
                    c->train.steps);
    /* train.steps may be smaller than warmup or decay_steps: a run may end early. */
    if (c->optim.schedule != SCHEDULE_CONSTANT && c->optim.min_lr > c->optim.lr)
        return fail(err, "%s: optim.min_lr: expected at most optim.lr %g, got %g", name,
                    c->optim.lr, c->optim.min_lr);
    if ((c->optim.schedule == SCHEDULE_LINEAR || c->optim.schedule == SCHEDULE_COSINE) &&
        c->optim.decay_steps && c->optim.decay_steps < c->optim.warmup)
        return fail(
            err, "%s: optim.decay_steps: expected at least optim.warmup %" PRIu64 ", got %" PRIu64,
            name, c->optim.warmup, c->optim.decay_steps);
    return 0;
}

char *config_text(const struct config *c)
{
    char *text = NULL, value[KEY_TEXT_MAX];
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return NULL;
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        if (!i || strcmp(key->section, config_keys[i - 1].section))
            fprintf(f, "%s[%s]\n", i ? "\n" : "", key->section);
        fprintf(f, "%s = %s\n", key->name, config_key_get(key, c, value));
    }
    if (!fclose(f))
        return text;
    free(text);
    return NULL;
}

size_t config_diff(const struct config *a, const struct config *b, char *text, size_t size)
{
    size_t count = 0;
    if (size)
        *text = 0;
    for (size_t i = 0; i < config_key_count; i++)
        count += config_key_differs(&config_keys[i], a, b, text, size);
    return count;
}

int config_model(const struct config *c, size_t tokenizer_symbols, struct model_config *model,
                 const char *name, struct error *err)
{
    const size_t vocab_size = tokenizer_symbols ? tokenizer_symbols : c->model.vocab_size;
    if (!vocab_size)
        return fail(
            err, "%s: model.vocab_size: expected a number of symbols, since there is no tokenizer",
            name);
    if (c->model.vocab_size && c->model.vocab_size < vocab_size)
        return fail(
            err, "%s: model.vocab_size: expected 0 or at least the tokenizer's %zu, got %" PRIu64,
            name, vocab_size, c->model.vocab_size);
    *model = (struct model_config){.n_layer = c->model.n_layer,
                                   .n_head = c->model.n_head,
                                   .n_embd = c->model.n_embd,
                                   .block_size = c->model.block_size,
                                   .vocab_size = vocab_size,
                                   .padded_vocab_size =
                                       c->model.vocab_size ? c->model.vocab_size : vocab_size,
                                   .bias = c->model.bias,
                                   .gelu = c->model.gelu,
                                   .dropout = c->model.dropout};
    return 0;
}

struct tensors *config_tensors(const struct config *c, size_t tokenizer_symbols, const char *name,
                               struct error *err)
{
    struct model_config model;
    if (config_model(c, tokenizer_symbols, &model, name, err))
        return NULL;
    struct tensors *tensors = tensors_create(&model);
    if (!tensors)
        fail(err, "%s: no memory for a model of these sizes", name);
    return tensors;
}

struct adamw config_adamw(const struct config *c)
{
    return (struct adamw){c->optim.beta1, c->optim.beta2, c->optim.eps, c->optim.weight_decay};
}

double config_lr(const struct config *c, uint64_t step)
{
    const struct schedule schedule = {.kind = c->optim.schedule,
                                      .lr = c->optim.lr,
                                      .min_lr = c->optim.min_lr,
                                      .warmup = c->optim.warmup,
                                      .decay_steps = c->optim.decay_steps,
                                      .steps = c->train.steps};
    return schedule_lr(&schedule, step);
}

uint64_t config_step_tokens(const struct config *c)
{
    return c->train.batch_size * c->train.accumulate * c->model.block_size;
}

bool config_is_due(const struct config *c, uint64_t step, uint64_t every)
{
    return every && step && (step % every == 0 || step == c->train.steps);
}

const struct model_code *config_model_code(const struct config *c)
{
    return c->train.precision == PRECISION_BF16 ? &model_code_bf16 : &model_code_f32;
}

enum gpt_use config_gpt_use(const struct config *c)
{
    return GPT_TRAIN + c->train.recompute;
}
