/* resume.c: see resume.h. */
#include "train/resume.h"
#include "base/text_append.h"
#include "train/weights.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Whether a name on the list refers to the key. "data" means the training data, not the section. */
static bool matches(const char *name, const struct config_key *key)
{
    char full_name[64];
    snprintf(full_name, sizeof full_name, "%s.%s", key->section, key->name);
    return !strcmp(name, full_name) || !strcmp(name, key->name) ||
           (!strcmp(name, key->section) && strcmp(name, "data") != 0);
}

static int allow_name(struct allowed *a, const char *name, struct error *err)
{
    bool known = !strcmp(name, "data");
    a->data |= known;
    for (size_t i = 0; i < config_key_count; i++)
        if (matches(name, &config_keys[i]))
            a->keys[i] = known = true;
    if (known)
        return 0;
    const char *dot = strchr(name, '.');
    const struct config_key *nearest = config_key_nearest("", dot ? dot + 1 : name);
    return fail(err, "--allow %.60s: expected \"data\" or a key of the configuration%s%s%s", name,
                nearest ? "; did you mean " : "", nearest ? nearest->name : "", nearest ? "?" : "");
}

int allow(struct allowed *a, const char *list, struct error *err)
{
    char name[64];
    for (size_t n; *list; list += n + (list[n] == ',')) {
        n = strcspn(list, ",");
        snprintf(name, sizeof name, "%.*s", (int)n, list);
        if (n && allow_name(a, name, err))
            return -1;
    }
    return 0;
}

/* Refuses another value of something that the current step depends on, or the model. */
static int refuse(const struct checkpoint *c, const char *path, const char *what, struct error *err)
{
    if (!c->state.micro)
        return fail(err, "%s: %s must not change", path, what);
    return fail(err,
                "%s: stopped after %" PRIu64 " of %" PRIu64
                " micro-batches of a step: %s must not change",
                path, c->state.micro, c->config.train.accumulate, what);
}

static int check_config(const struct checkpoint *run, const struct checkpoint *c,
                        const struct allowed *a, const char *path, struct error *err)
{
    char differences[512] = "", names[256] = "";
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        const bool fixed =
            key->change == CHANGE_NEVER || (key->change == CHANGE_BETWEEN_STEPS && c->state.micro);
        if (key->change == CHANGE_HARMLESS || (a->keys[i] && !fixed) ||
            !config_key_differs(key, &c->config, &run->config, differences, sizeof differences))
            continue;
        if (fixed)
            return refuse(c, path, key->name, err);
        text_append(names, sizeof names, "%s%s", *names ? "," : "", key->name);
    }
    return *names ? fail(err,
                         "%s: the configuration has changed since: %s; --allow %s accepts the new "
                         "values",
                         path, differences, names)
                  : 0;
}

int check_resume(const struct checkpoint *run, const struct checkpoint *c, const struct allowed *a,
                 const char *path, struct error *err)
{
    if (checkpoint_fits(c, &run->tensors->config, path, err) || check_weights(run, c, path, err) ||
        check_config(run, c, a, path, err))
        return -1;
    if (!c->data_fingerprint[0] || !strcmp(c->data_fingerprint, run->data_fingerprint))
        return 0;
    if (c->state.micro)
        return refuse(c, path, "the data", err);
    return a->data ? 0
                   : fail(err,
                          "%s: was trained on other data (%.12s…) than that in %s (%.12s…); "
                          "--allow data accepts it",
                          path, c->data_fingerprint, run->config.data.dir, run->data_fingerprint);
}
