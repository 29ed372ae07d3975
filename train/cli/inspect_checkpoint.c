/* inspect_checkpoint.c: what a checkpoint holds: where the run stood, how it was configured, and every tensor with its statistics,
 * which tell a dead, exploded or untrained layer at a glance. */
#include "train/checkpoint/checkpoint.h"
#include "train/cli/inspect.h"
#include "train/config/config_keys.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Of the finite elements; NAN where there are none. */
struct stats {
    double mean, std, min, max;
    size_t non_finite, first; /* how many are not, and the index of the first */
    size_t negative;
};

static struct stats measure(const float *x, size_t n)
{
    struct stats s = {.min = INFINITY, .max = -INFINITY};
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) {
            s.first = s.non_finite++ ? s.first : i;
            continue;
        }
        sum += x[i];
        s.min = fmin(s.min, x[i]);
        s.max = fmax(s.max, x[i]);
        s.negative += x[i] < 0;
    }
    const double finite = (double)(n - s.non_finite);
    s.mean = sum / finite;
    for (size_t i = 0; i < n; i++)
        squares += isfinite(x[i]) ? (x[i] - s.mean) * (x[i] - s.mean) : 0;
    s.std = sqrt(squares / finite);
    if (s.non_finite == n)
        s.min = s.max = NAN;
    return s;
}

/* --- text --- */

static void print_model(const struct model_config *m)
{
    char padded[64] = "";
    if (m->padded_vocab_size > m->vocab_size)
        snprintf(padded, sizeof padded, " (%zu in memory)", m->padded_vocab_size);
    inspect_line(
        "model",
        "%zu layers, %zu heads, %zu wide, context %zu, %zu symbols%s, %s, gelu %s, dropout %g",
        m->n_layer, m->n_head, m->n_embd, m->block_size, m->vocab_size, padded,
        m->bias ? "biases" : "no biases", m->gelu == GELU_TANH ? "tanh" : "erf", m->dropout);
}

static void print_run(const struct checkpoint *c)
{
    const struct config *g = &c->config;
    char schedule[KEY_TEXT_MAX];
    config_key_get(config_key_find("optim", "schedule"), g, schedule);
    inspect_line("optimiser",
                 "lr %g to %g, %s, warm-up %" PRIu64 ", betas %g %g, weight decay %g, clip %g",
                 g->optim.lr, g->optim.min_lr, schedule, g->optim.warmup, g->optim.beta1,
                 g->optim.beta2, g->optim.weight_decay, g->optim.clip);
    inspect_line(
        "run",
        "step %" PRIu64 " of %" PRIu64 ", %" PRIu64 " × %" PRIu64 " rows a step, seed %" PRIu64,
        c->state.step, g->train.steps, g->train.accumulate, g->train.batch_size, g->train.seed);
    if (c->state.micro)
        inspect_line("", "%" PRIu64 " of %" PRIu64 " micro-batches of the next step are done",
                     c->state.micro, g->train.accumulate);
    if (c->data_fingerprint[0])
        inspect_line("data", "%s, %s, %.12s…", g->data.dir,
                     g->data.order == ORDER_SHUFFLED ? "shuffled" : "sequential",
                     c->data_fingerprint);
    if (c->tokenizer)
        inspect_line("tokenizer", "%s, %zu symbols, %.12s…", tokenizer_kind(c->tokenizer),
                     tokenizer_vocab_size(c->tokenizer), tokenizer_fingerprint(c->tokenizer));
    if (c->state.step && isfinite(c->state.smoothed_loss))
        inspect_line("loss", "%.4f on training data, smoothed", c->state.smoothed_loss);
    if (isfinite(c->state.val_loss))
        inspect_line("val loss", "%.4f at step %" PRIu64 "; best %.4f at step %" PRIu64,
                     c->state.val_loss, c->state.val_step, c->state.best_val_loss,
                     c->state.best_step);
}

static void print_tensors(const struct tensors *t, const struct stats *stats, bool bold)
{
    int width = 6;
    for (size_t i = 0; i < t->count; i++)
        width = (int)strlen(t->list[i].name) > width ? (int)strlen(t->list[i].name) : width;
    printf("\n  %s%-*s  %-14s %11s %11s %11s %11s%s\n", bold ? "\033[1m" : "", width, "tensor",
           "shape", "mean", "std", "min", "max", bold ? "\033[0m" : "");
    for (size_t i = 0; i < t->count; i++) {
        char shape[48];
        if (t->list[i].ndim == 2)
            snprintf(shape, sizeof shape, "(%zu, %zu)", t->list[i].shape[0], t->list[i].shape[1]);
        else
            snprintf(shape, sizeof shape, "(%zu)", t->list[i].shape[0]);
        printf("  %-*s  %-14s %11.4g %11.4g %11.4g %11.4g", width, t->list[i].name, shape,
               stats[i].mean, stats[i].std, stats[i].min, stats[i].max);
        if (stats[i].non_finite)
            printf("  %zu NOT FINITE", stats[i].non_finite);
        putchar('\n');
    }
}

static void print_report(const struct inspect *in, struct checkpoint_file *f,
                         const struct checkpoint *c, const struct stats *stats)
{
    char count[32];
    inspect_title(in, "checkpoint at step %" PRIu64, c->state.step);
    print_model(&c->tensors->config);
    inspect_line("parameters", "%s in %zu tensors", inspect_count(c->tensors->n_parameters, count),
                 c->tensors->count);
    print_run(c);
    inspect_line("also holds", "%s%s",
                 checkpoint_has(f, "adamw") ? "AdamW's moments" : "no optimiser state",
                 checkpoint_has(f, "grads") ? ", gradients" : "");
    print_tensors(c->tensors, stats, in->bold);
    if (in->verify && !in->problems)
        printf("\n  verified: checksums, types and shapes; every number is finite\n");
}

/* --- JSON --- */

static cJSON *config_json(const struct config *c)
{
    cJSON *object = cJSON_CreateObject();
    char text[KEY_TEXT_MAX];
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        cJSON *section = cJSON_GetObjectItem(object, key->section);
        if (!section)
            section = cJSON_AddObjectToObject(object, key->section);
        config_key_get(key, c, text);
        if (key->type == KEY_BOOL)
            cJSON_AddBoolToObject(section, key->name, !strcmp(text, "yes"));
        else if (key->type == KEY_COUNT || key->type == KEY_NUMBER)
            cJSON_AddRawToObject(section, key->name, text); /* all digits, which a double has not */
        else
            cJSON_AddStringToObject(section, key->name, text);
    }
    return object;
}

static void add_count(cJSON *object, const char *name, uint64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64, value);
    cJSON_AddRawToObject(object, name, text);
}

static cJSON *tensors_json(const struct tensors *t, const struct stats *stats)
{
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < t->count; i++) {
        cJSON *object = cJSON_CreateObject(), *shape = cJSON_CreateArray();
        cJSON_AddStringToObject(object, "name", t->list[i].name);
        for (int k = 0; k < t->list[i].ndim; k++)
            cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)t->list[i].shape[k]));
        cJSON_AddItemToObject(object, "shape", shape);
        cJSON_AddNumberToObject(object, "mean", stats[i].mean);
        cJSON_AddNumberToObject(object, "std", stats[i].std);
        cJSON_AddNumberToObject(object, "min", stats[i].min);
        cJSON_AddNumberToObject(object, "max", stats[i].max);
        cJSON_AddNumberToObject(object, "non_finite", (double)stats[i].non_finite);
        cJSON_AddItemToArray(list, object);
    }
    return list;
}

static cJSON *report_json(const struct inspect *in, struct checkpoint_file *f,
                          const struct checkpoint *c, const struct stats *stats)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "kind", "checkpoint");
    cJSON_AddStringToObject(object, "file", in->path);
    add_count(object, "step", c->state.step);
    add_count(object, "micro", c->state.micro);
    add_count(object, "parameters", c->tensors->n_parameters);
    add_count(object, "vocab_size", c->tensors->config.vocab_size);
    cJSON_AddNumberToObject(object, "smoothed_loss", c->state.smoothed_loss);
    cJSON_AddNumberToObject(object, "val_loss", c->state.val_loss);
    add_count(object, "val_step", c->state.val_step);
    cJSON_AddNumberToObject(object, "best_val_loss", c->state.best_val_loss);
    add_count(object, "best_step", c->state.best_step);
    cJSON_AddStringToObject(object, "data_fingerprint", c->data_fingerprint);
    cJSON *tokenizer = c->tokenizer ? cJSON_AddObjectToObject(object, "tokenizer") : NULL;
    if (tokenizer) {
        cJSON_AddStringToObject(tokenizer, "kind", tokenizer_kind(c->tokenizer));
        add_count(tokenizer, "vocab_size", tokenizer_vocab_size(c->tokenizer));
        cJSON_AddStringToObject(tokenizer, "fingerprint", tokenizer_fingerprint(c->tokenizer));
    }
    cJSON_AddBoolToObject(object, "optimiser", checkpoint_has(f, "adamw"));
    cJSON_AddBoolToObject(object, "grads", checkpoint_has(f, "grads"));
    cJSON_AddItemToObject(object, "config", config_json(&c->config));
    cJSON_AddItemToObject(object, "tensors", tensors_json(c->tensors, stats));
    if (in->verify)
        cJSON_AddBoolToObject(object, "verified", !in->problems);
    return object;
}

/* --- the check of everything --- */

static void check_group(struct inspect *in, struct checkpoint_file *f, const struct tensors *t,
                        const char *group, float *array)
{
    struct error why;
    if (checkpoint_read(f, group, array, &why)) {
        fprintf(stderr, "handgrad: %s\n", why.text);
        in->problems++;
        return;
    }
    for (size_t i = 0; i < t->count; i++) {
        const size_t n = tensor_file_size(&t->list[i]);
        const struct stats s = measure(array + t->list[i].offset, n);
        if (s.non_finite)
            inspect_problem(in, "%s/%s: %zu of %zu numbers are not finite, the first at index %zu",
                            group, t->list[i].name, s.non_finite, n, s.first);
        if (s.negative && !strcmp(group, "adamw/v"))
            inspect_problem(in, "%s/%s: %zu of %zu means of squares are negative", group,
                            t->list[i].name, s.negative, n);
    }
}

static void verify(struct inspect *in, struct checkpoint_file *f, const struct tensors *t,
                   float *array)
{
    check_group(in, f, t, "params", array);
    if (checkpoint_has(f, "adamw")) {
        check_group(in, f, t, "adamw/m", array);
        check_group(in, f, t, "adamw/v", array);
    }
    if (checkpoint_has(f, "grads"))
        check_group(in, f, t, "grads", array);
}

int inspect_checkpoint(struct inspect *in, struct error *err)
{
    struct checkpoint c;
    struct checkpoint_file *f = checkpoint_open(in->path, &c, err);
    if (!f)
        return -1;
    int status = -1;
    float *array = calloc(c.tensors->total, sizeof *array);
    struct stats *stats = calloc(c.tensors->count, sizeof *stats);
    if (!array || !stats) {
        fail(err, "%s: out of memory for %zu parameters", in->path, c.tensors->total);
        goto out;
    }
    if (checkpoint_read(f, "params", array, err))
        goto out;
    for (size_t i = 0; i < c.tensors->count; i++)
        stats[i] =
            measure(array + c.tensors->list[i].offset, tensor_file_size(&c.tensors->list[i]));
    if (in->verify)
        verify(in, f, c.tensors, array);
    status = 0;
    if (in->json)
        status = inspect_print_json(report_json(in, f, &c, stats), err);
    else
        print_report(in, f, &c, stats);
out:
    free(array);
    free(stats);
    checkpoint_close(f);
    return status;
}
