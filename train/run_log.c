/* run_log.c: see run_log.h. */
#include "train/run_log.h"
#include "base/clock.h"
#include "base/minmax.h"
#include "base/stop.h"
#include "base/utf8.h"
#include "optim/norms.h"
#include "train/generator.h"
#include "train/json.h"
#include "train/machine.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Appends an object as a line, and frees it. */
static void append(struct jsonl *j, uint64_t step, cJSON *object)
{
    char *line = cJSON_PrintUnformatted(object);
    if (line) {
        const size_t n = strlen(line);
        line[n] = '\n'; /* instead of the terminator */
        jsonl_append(j, step, line, n + 1);
    }
    cJSON_free(line);
    cJSON_Delete(object);
}

static void record_start(struct run_log *l, const struct trainer *t)
{
    cJSON *object = json_add(NULL, FIELDS(NUMBER("step", t->state.step), NUMBER("time", time(NULL)),
                                          NUMBER("parameters", t->model.tensors->n_parameters)));
    cJSON_AddItemToObject(object, "data", data_json(t->config.data.dir));
    cJSON_AddItemToObject(object, "machine",
                          machine_json(t->peak, t->config.train.precision == PRECISION_BF16));
    append(&l->starts, t->state.step, object);
}

static void put(FILE *f, const char *name, double x)
{
    fputs(name, f);
    fprintf(f, isfinite(x) ? "%.6g" : "null", x);
}

/* Formats the line directly: cJSON would make four allocations per tensor. */
static void record_tensors(struct run_log *l, const struct trainer *t)
{
    const struct tensors *tensors = t->model.tensors;
    const struct adamw o = config_adamw(&t->config);
    char *line = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&line, &size);
    if (!f)
        return;
    fprintf(f, "{\"step\":%" PRIu64 ",\"tensors\":{", t->state.step);
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
        jsonl_append(&l->tensors, t->state.step, line, size);
    free(line);
}

/* Omits lines that would take more than 1 % of the time, beyond the first tenth of a second: a step
 * of a small model takes no longer than the norms of its tensors. */
static void record_affordable_tensors(struct run_log *l, const struct trainer *t)
{
    const double before = seconds();
    if (l->norms_s > 0.1 + 0.01 * (before - l->opened) && t->state.step < t->config.train.steps)
        return;
    record_tensors(l, t);
    l->norms_s += seconds() - before;
}

/* NULL if out of memory. */
static cJSON *generated_text(const struct generator *g, const struct tokenizer *t)
{
    char *raw = NULL;
    size_t size = 0, length;
    FILE *f = open_memstream(&raw, &size);
    for (size_t i = g->n_prompt; f && i < g->n; i++) {
        const char *bytes = tokenizer_name(t, g->ids[i], &length);
        fwrite(bytes, 1, length, f);
    }
    cJSON *text = f && !fclose(f) ? json_string(raw, size) : NULL;
    free(raw);
    return text;
}

/* The beginning of a text, as a JSON string. */
static char *beginning(const cJSON *text)
{
    enum { LENGTH = 120 };
    char *bytes = cJSON_GetStringValue(text);
    cJSON *first = json_string(bytes, utf8_complete(bytes, size_min(strlen(bytes), LENGTH)));
    char *json = cJSON_PrintUnformatted(first);
    cJSON_Delete(first);
    return json;
}

static char *record_sample(struct run_log *l, const struct trainer *t)
{
    struct generator g;
    char *first = NULL;
    const struct generation plan = generation_of(&t->model, t->tokenizer, &t->config, &t->state);
    if (generator_create(&g, &plan, NULL))
        return NULL;
    g.sampler.temperature = 0.8;
    g.sampler.top_k = 200;
    g.sampler.seed = 1337;
    int status = 0;
    for (uint64_t i = 0; i < t->config.train.sample_tokens && !status; i++)
        status = generator_next(&g, NULL);
    cJSON *text = status ? NULL : generated_text(&g, t->tokenizer);
    if (text) {
        cJSON *object = json_add(NULL, FIELDS(NUMBER("step", t->state.step)));
        cJSON_AddItemToObject(object, "text", text);
        first = beginning(text);
        append(&l->samples, t->state.step, object);
    }
    generator_destroy(&g);
    return first;
}

/* Records a sample if it is due and missing. If the run is stopping, the resumed run will do it. */
static char *record_due_sample(struct run_log *l, const struct trainer *t)
{
    const struct config *c = &t->config;
    const bool due = c->train.sample_tokens && l->samples.last < t->state.step &&
                     config_is_due(c, t->state.step, c->train.eval_every) && !stop_requested();
    return due ? record_sample(l, t) : NULL;
}

int run_log_open(struct run_log *l, const char *run_dir, const struct trainer *t, struct error *err)
{
    const uint64_t step = t->state.step;
    *l = (struct run_log){.last_step = step, .opened = seconds()};
    if (jsonl_open(&l->starts, run_dir, "starts.jsonl", step, err) ||
        jsonl_open(&l->tensors, run_dir, "tensors.jsonl", step, err) ||
        jsonl_open(&l->samples, run_dir, "samples.jsonl", step, err) ||
        (t->config.train.tensorboard && events_open(&l->events, run_dir, step, err))) {
        run_log_close(l);
        return -1;
    }
    record_start(l, t);
    free(record_due_sample(l, t));
    return 0;
}

void run_log_close(struct run_log *l)
{
    jsonl_close(&l->starts);
    jsonl_close(&l->tensors);
    jsonl_close(&l->samples);
    events_close(&l->events);
}

char *run_log_step(struct run_log *l, const struct trainer *t)
{
    const struct config *c = &t->config;
    const uint64_t step = t->state.step;
    if (step <= l->last_step && step) {
        jsonl_cut_after(&l->tensors, step - 1, NULL);
        jsonl_cut_after(&l->samples, step - 1, NULL);
        events_restart(&l->events, step - 1);
    }
    l->last_step = step;
    if (c->train.log_tensors && (step == 1 || config_is_due(c, step, c->train.log_tensors)))
        record_affordable_tensors(l, t);
    char *sample = record_due_sample(l, t);
    events_step(&l->events, t, config_is_due(c, step, c->train.eval_every));
    return sample;
}
