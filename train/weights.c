/* weights.c: see weights.h. */
#include "train/weights.h"
#include "base/minmax.h"
#include "base/text_append.h"
#include "train/config/config_keys.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether b is a, with more tokens after those of a. */
static bool extends(const struct tokenizer *b, const struct tokenizer *a)
{
    if (a->vocab_size == b->vocab_size) /* merges count, too */
        return !strcmp(a->fingerprint, b->fingerprint);
    bool same = !strcmp(a->kind, b->kind) && a->vocab_size < b->vocab_size;
    for (size_t id = 0; id < a->vocab_size && same; id++) {
        size_t n, m;
        const char *x = tokenizer_name(a, id, &n), *y = tokenizer_name(b, id, &m);
        same = n == m && !memcmp(x, y, n);
    }
    return same;
}

static int check_vocabulary(const struct checkpoint *run, const struct checkpoint *c,
                            const char *path, struct error *err)
{
    const struct tokenizer *now = run->tokenizer, *then = c->tokenizer;
    const size_t have = c->tensors->config.vocab_size, want = run->tensors->config.vocab_size;
    if (now && then && !extends(now, then))
        return fail(err, "%s: its tokenizer (%s, %zu symbols) is not that of %s (%s, %zu symbols)",
                    path, then->kind, then->vocab_size, run->config.data.dir, now->kind,
                    now->vocab_size);
    return have <= want ? 0
                        : fail(err, "%s: its vocabulary has %zu symbols, expected at most %zu",
                               path, have, want);
}

int check_weights(const struct checkpoint *run, const struct checkpoint *c, const char *path,
                  struct error *err)
{
    char difference[128] = "";
    const uint64_t have = c->config.model.block_size, want = run->config.model.block_size;
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        if (!strcmp(key->section, "model") && strcmp(key->name, "dropout") &&
            strcmp(key->name, "block_size") && strcmp(key->name, "vocab_size") &&
            config_key_differs(key, &c->config, &run->config, difference, sizeof difference))
            return fail(err,
                        "%s: its weights were trained for another model: %s in this configuration",
                        path, difference);
    }
    if (want > have)
        return fail(err, "%s: model.block_size is %" PRIu64 ", expected at least %" PRIu64, path,
                    have, want);
    return check_vocabulary(run, c, path, err);
}

static void print_differences(const struct checkpoint *run, const struct checkpoint *c,
                              const char *path)
{
    char text[256] = "";
    const uint64_t have = c->config.model.block_size, want = run->config.model.block_size;
    const size_t before = c->tensors->config.vocab_size, now = run->tensors->config.vocab_size;
    if (have != want)
        text_append(text, sizeof text, ", block_size cropped from %" PRIu64 " to %" PRIu64, have,
                    want);
    if (before != now)
        text_append(text, sizeof text, ", vocabulary extended from %zu to %zu symbols", before,
                    now);
    if (c->config.model.dropout != run->config.model.dropout)
        text_append(text, sizeof text, ", dropout %g instead of %g", run->config.model.dropout,
                    c->config.model.dropout);
    if (*text)
        printf("weights of %s: %s\n", path, text + 2);
}

/* Copies the rows that both have of every tensor. The tables list the same tensors. */
static void copy_rows(float *to, const struct tensors *to_table, const float *from,
                      const struct tensors *from_table)
{
    for (size_t i = 0; i < to_table->count; i++) {
        const struct tensor *x = &to_table->list[i], *y = &from_table->list[i];
        memcpy(to + x->offset, from + y->offset,
               size_min(x->shape[0], y->shape[0]) * x->shape[1] * sizeof *to);
    }
}

int weights_load(float *params, const struct checkpoint *run, const char *path, struct error *err)
{
    struct checkpoint c;
    struct checkpoint_file *f = checkpoint_open(path, &c, err);
    if (!f)
        return -1;
    float *read = NULL;
    int status = check_weights(run, &c, path, err);
    if (!status && !(read = calloc(c.tensors->total, sizeof *read)))
        status = fail(err, "%s: out of memory for %zu weights", path, c.tensors->total);
    if (!status)
        status = checkpoint_read(f, "params", read, err);
    if (!status) {
        copy_rows(params, run->tensors, read, c.tensors);
        print_differences(run, &c, path);
    }
    free(read);
    checkpoint_close(f);
    return status ? -1 : 0;
}
