/* run_log.c: see diary.h. */
#include "train/run_log.h"
#include "base/stop.h"
#include "base/utf8.h"
#include "optim/norms.h"
#include "train/generator.h"
#include "train/machine.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Prints an object as a line of its file, and frees it. */
static void append(struct jsonl *j, uint64_t step, cJSON *object)
{
    char *text = cJSON_PrintUnformatted(object), *line = NULL;
    const int size = text ? asprintf(&line, "%s\n", text) : -1;
    if (size > 0)
        jsonl_append(j, step, line, (size_t)size);
    if (size >= 0)
        free(line);
    cJSON_free(text);
    cJSON_Delete(object);
}

static void note_start(struct run_log *d, const struct trainer *t)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "step", (double)t->state.step);
    cJSON_AddNumberToObject(object, "time", (double)time(NULL));
    cJSON_AddNumberToObject(object, "parameters", (double)t->model.tensors->n_parameters);
    cJSON_AddItemToObject(object, "data", data_json(t->config.data.dir));
    cJSON_AddItemToObject(object, "machine",
                          machine_json(t->peak, t->config.train.precision == PRECISION_BF16));
    append(&d->starts, t->state.step, object);
}

static void put(FILE *f, const char *name, double x)
{
    fputs(name, f);
    fprintf(f, isfinite(x) ? "%.6g" : "null", x);
}

/* Grows a line by hand: cJSON would allocate four times for each tensor. */
static void note_tensors(struct run_log *d, const struct trainer *t)
{
    const struct tensors *tensors = t->model.tensors;
    const struct adamw o = {t->config.optim.beta1, t->config.optim.beta2, t->config.optim.eps,
                            t->config.optim.weight_decay};
    char *line = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&line, &size);
    if (!f)
        return;
    fprintf(f, "{\"step\":%llu,\"tensors\":{", (unsigned long long)t->state.step);
    for (size_t k = 0; k < tensors->count; k++) {
        const struct tensor *x = &tensors->list[k];
        fprintf(f, "%s\"%s\":{", k ? "," : "", x->name);
        put(f, "\"weight\":", tensor_norm(t->model.params, x));
        put(f, ",\"grad\":", tensor_norm(t->model.grads, x));
        put(f, ",\"update\":",
            t->metrics.skipped ? 0
                               : adamw_update_norm(t->model.params, t->m, t->v, x, &o,
                                                   t->metrics.lr, t->state.updates));
        putc('}', f);
    }
    fputs("}}\n", f);
    if (!fclose(f))
        jsonl_append(&d->tensors, t->state.step, line, size);
    free(line);
}

/* The text of a generator, as UTF-8; allocated. */
static char *text_of(const struct generator *g, const struct tokenizer *t)
{
    char *raw = NULL, *text;
    size_t size = 0, length;
    FILE *f = open_memstream(&raw, &size);
    for (size_t i = g->n_prompt; f && i < g->n; i++) {
        const char *bytes = tokenizer_bytes(t, g->ids[i], &length);
        fwrite(bytes, 1, length, f);
    }
    if (!f || fclose(f))
        return NULL;
    for (size_t i = 0; i < size; i++)
        if (!raw[i])
            raw[i] =
                (char)0xFF; /* a string cannot hold it: it is repaired like what is not UTF-8 */
    text = malloc(3 * size + 1);
    if (text)
        text[utf8_repair(raw, size, text)] = 0;
    free(raw);
    return text;
}

static void note_sample(struct run_log *d, const struct trainer *t)
{
    struct generator g;
    struct error why;
    if (generator_create(&g, &t->model, t->tokenizer, NULL, 1, &why))
        return;
    g.sampler.temperature = 0.8;
    g.sampler.top_k = 200;
    g.sampler.seed = 1337;
    int status = 0;
    for (uint64_t i = 0; i < t->config.train.sample_tokens && !status; i++)
        status = generator_next(&g, &why);
    char *text = status ? NULL : text_of(&g, t->tokenizer);
    if (text) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddNumberToObject(object, "step", (double)t->state.step);
        cJSON_AddStringToObject(object, "text", text);
        append(&d->samples, t->state.step, object);
    }
    free(text);
    generator_destroy(&g);
}

static bool is_due(uint64_t step, uint64_t every, uint64_t steps)
{
    return every && step && (step % every == 0 || step == steps);
}

/* A sample that is due and not there. Not while the run is asked to stop: it is written when the run goes on. */
static void catch_up(struct run_log *d, const struct trainer *t)
{
    const struct config *c = &t->config;
    if (c->train.sample_tokens && is_due(t->state.step, c->train.eval_every, c->train.steps) &&
        d->samples.last < t->state.step && !stop_requested())
        note_sample(d, t);
}

int run_log_open(struct run_log *d, const char *run_dir, const struct trainer *t, struct error *err)
{
    const uint64_t step = t->state.step;
    *d = (struct run_log)RUN_LOG_CLOSED;
    d->last = step;
    if (jsonl_open(&d->starts, run_dir, "starts.jsonl", step, err) ||
        jsonl_open(&d->tensors, run_dir, "tensors.jsonl", step, err) ||
        jsonl_open(&d->samples, run_dir, "samples.jsonl", step, err) ||
        (t->config.train.tensorboard && events_open(&d->events, run_dir, step, err))) {
        run_log_close(d);
        return -1;
    }
    note_start(d, t);
    catch_up(d, t);
    return 0;
}

void run_log_close(struct run_log *d)
{
    jsonl_close(&d->starts);
    jsonl_close(&d->tensors);
    jsonl_close(&d->samples);
    events_close(&d->events);
}

static void go_back(struct run_log *d, uint64_t step)
{
    struct error ignored;
    jsonl_cut_after(&d->tensors, step, &ignored);
    jsonl_cut_after(&d->samples, step, &ignored);
    events_restart(&d->events, step);
}

void run_log_step(struct run_log *d, const struct trainer *t)
{
    const struct config *c = &t->config;
    const uint64_t step = t->state.step;
    if (step <= d->last && step)
        go_back(d, step - 1);
    d->last = step;
    if (c->train.log_tensors && (step == 1 || is_due(step, c->train.log_tensors, c->train.steps)))
        note_tensors(d, t);
    catch_up(d, t);
    events_step(&d->events, t, is_due(step, c->train.eval_every, c->train.steps));
}
