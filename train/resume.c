/* resume.c: see resume.h. */
#include "train/resume.h"
#include "train/config/config_keys.h"

#include <stdio.h>
#include <string.h>

/* Keys that change no step of a run. Every other key, and every new one, has to be allowed by name. */
static const char *const harmless[] = {
    "data.dir",          "train.recompute",        "train.eval_every",
    "train.eval_tokens", "train.checkpoint_every", "train.keep",
    "train.log_every",   "train.log_tensors",      "train.sample_tokens",
    "train.tensorboard"};

static bool is_harmless(const struct config_key *key)
{
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++) {
        const size_t n = strlen(key->section);
        if (!strncmp(harmless[i], key->section, n) && harmless[i][n] == '.' &&
            !strcmp(harmless[i] + n + 1, key->name))
            return true;
    }
    return false;
}

/* Whether a name on the list stands for the key. */
static bool names(const char *name, const struct config_key *key)
{
    const char *dot = strchr(name, '.');
    if (!dot)
        return !strcmp(name, key->name) ||
               (!strcmp(name, key->section) && strcmp(name, "data") != 0);
    const size_t n = (size_t)(dot - name);
    return strlen(key->section) == n && !strncmp(name, key->section, n) &&
           !strcmp(dot + 1, key->name);
}

static bool is_allowed(const struct allowed *a, const struct config_key *key)
{
    for (size_t i = 0; i < a->n; i++)
        if (names(a->names[i], key))
            return true;
    return false;
}

static bool data_is_allowed(const struct allowed *a)
{
    for (size_t i = 0; i < a->n; i++)
        if (!strcmp(a->names[i], "data"))
            return true;
    return false;
}

static int check_name(const char *name, struct error *err)
{
    if (!strcmp(name, "data"))
        return 0;
    for (size_t i = 0; i < config_key_count; i++)
        if (names(name, &config_keys[i]))
            return 0;
    const char *dot = strchr(name, '.');
    const struct config_key *nearest = config_key_nearest("", dot ? dot + 1 : name);
    if (nearest)
        return fail(err, "--allow %.60s: expected \"data\" or a key; did you mean %s?", name,
                    nearest->name);
    return fail(err, "--allow %.60s: expected \"data\" or a key of the configuration", name);
}

int allow(struct allowed *a, const char *list, struct error *err)
{
    const size_t size = strlen(list) + 1;
    if (size > sizeof a->text - a->used)
        return fail(err, "--allow: the list is too long");
    char *text = memcpy(a->text + a->used, list, size), *rest = NULL;
    a->used += size;
    for (char *name = strtok_r(text, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        if (a->n == ALLOWED_MAX)
            return fail(err, "--allow: the list is too long");
        if (check_name(name, err))
            return -1;
        a->names[a->n++] = name;
    }
    return 0;
}

int check_tokenizer(const struct trainer *t, const struct checkpoint *c, const char *path,
                    struct error *err)
{
    if (c->tokenizer && strcmp(c->tokenizer->fingerprint, t->tokenizer->fingerprint) != 0)
        return fail(err, "%s: its tokenizer (%s, %zu symbols) is not that of %s (%s, %zu symbols)",
                    path, c->tokenizer->kind, c->tokenizer->vocab_size, t->config.data.dir,
                    t->tokenizer->kind, t->tokenizer->vocab_size);
    return 0;
}

/* Batches of another size, order, seed or text cannot complete a step that has begun. */
static int check_accumulation(const struct trainer *t, const struct checkpoint *c, const char *path,
                              struct error *err)
{
    const struct config *now = &t->config, *then = &c->config;
    if (c->state.micro &&
        (now->train.batch_size != then->train.batch_size ||
         now->train.accumulate != then->train.accumulate || now->train.seed != then->train.seed ||
         now->data.order != then->data.order || now->data.windows != then->data.windows ||
         now->data.mask_documents != then->data.mask_documents ||
         strcmp(t->data_fingerprint, c->data_fingerprint) != 0))
        return fail(err,
                    "%s: stopped after %llu of %llu micro-batches of a step: batch_size, "
                    "accumulate, seed, order, windows, "
                    "mask_documents "
                    "and the data must stay",
                    path, (unsigned long long)c->state.micro,
                    (unsigned long long)then->train.accumulate);
    return 0;
}

/* "optim.lr 0.001 != 0.0003, …" and "lr,…", of the keys that differ and are not allowed. */
static size_t forbidden(const struct config *then, const struct config *now,
                        const struct allowed *a, char *text, size_t text_size, char *list,
                        size_t list_size)
{
    char x[KEY_TEXT_MAX], y[KEY_TEXT_MAX];
    size_t count = 0, n = 0, m = 0;
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        if (!strcmp(config_key_get(key, then, x), config_key_get(key, now, y)) ||
            is_harmless(key) || is_allowed(a, key))
            continue;
        if (n < text_size)
            n += (size_t)snprintf(text + n, text_size - n, "%s%s.%s %.40s != %.40s",
                                  count ? ", " : "", key->section, key->name, x, y);
        if (m < list_size)
            m += (size_t)snprintf(list + m, list_size - m, "%s%s", count ? "," : "", key->name);
        count++;
    }
    return count;
}

static int check_config(const struct trainer *t, const struct checkpoint *c,
                        const struct allowed *a, const char *path, struct error *err)
{
    char text[512], list[256];
    if (t->config.model.gelu != c->config.model.gelu ||
        t->config.model.n_head != c->config.model.n_head)
        return fail(err, "%s: model.n_head or model.gelu is not that of the configuration", path);
    if (forbidden(&c->config, &t->config, a, text, sizeof text, list, sizeof list))
        return fail(err, "%s: changed since: %s; --allow %s goes on with the new values", path,
                    text, list);
    return 0;
}

int check_resume(const struct trainer *t, const struct checkpoint *c, const struct allowed *a,
                 const char *path, struct error *err)
{
    if (checkpoint_fits(c, t->model.tensors, path, err) || check_tokenizer(t, c, path, err) ||
        check_accumulation(t, c, path, err) || check_config(t, c, a, path, err))
        return -1;
    if (c->data_fingerprint[0] && strcmp(c->data_fingerprint, t->data_fingerprint) != 0 &&
        !data_is_allowed(a))
        return fail(err,
                    "%s: was trained on other data (%.12s…) than %s holds (%.12s…); --allow data "
                    "goes on with it",
                    path, c->data_fingerprint, t->config.data.dir, t->data_fingerprint);
    return 0;
}
