/* routes_lens.c: the answers about a model: predictions, attention, gradients, generated text. */
#include "base/minmax.h"
#include "base/utf8.h"
#include "train/generator.h"
#include "train/lens/inspection_json.h"
#include "train/serve/server.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TOP = 10, TOKENS_MAX = 10000 };

/* --- checkpoints --- */

/* best.h5 or ckpt-STEP.h5. */
static bool is_checkpoint(const char *name)
{
    int end = 0;
    sscanf(name, "ckpt-%*20[0-9].h5%n", &end);
    return (end && !name[end]) || !strcmp(name, "best.h5");
}

static int is_checkpoint_entry(const struct dirent *d)
{
    return is_checkpoint(d->d_name);
}

/* best.h5, then the others from the newest. */
static int newest_first(const struct dirent **a, const struct dirent **b)
{
    const char *x = (*a)->d_name, *y = (*b)->d_name;
    return *x != *y ? *x - *y : strverscmp(y, x);
}

int answer_checkpoints(struct request *q)
{
    const struct history *run = request_run(q);
    struct dirent **entries;
    if (!run)
        return -1;
    const int n = scandir(run->dir, &entries, is_checkpoint_entry, newest_first);
    if (n < 0) {
        q->status = MHD_HTTP_SERVICE_UNAVAILABLE;
        return fail(&q->err, "%s: %s", run->dir, strerror(errno));
    }
    cJSON *json = cJSON_CreateObject(), *names = cJSON_AddArrayToObject(json, "checkpoints");
    for (int i = 0; i < n; i++) {
        cJSON_AddItemToArray(names, cJSON_CreateString(entries[i]->d_name));
        free(entries[i]);
    }
    free(entries);
    return answer_json(q, json);
}

/* --- the model --- */

/* Locks the cache and returns the model of the query's checkpoint, which has read the query's text
 * if `reads`. After an error it returns NULL, and the cache is not locked. */
static struct cached_model *lock_model(struct request *q, bool reads)
{
    struct model_cache *cache = &q->server->cache;
    const struct history *run = request_run(q);
    const char *name = request_parameter(q, "checkpoint"),
               *text = reads ? request_parameter(q, "text") : NULL;
    char path[4096];
    if (!run)
        return NULL;
    if (!name || !is_checkpoint(name))
        fail(&q->err, "checkpoint: expected best.h5 or ckpt-STEP.h5, got \"%.100s\"",
             name ? name : "");
    else if ((size_t)snprintf(path, sizeof path, "%s/%s", run->dir, name) >= sizeof path)
        fail(&q->err, "%s: the path is too long", run->dir);
    else if (reads && !text)
        fail(&q->err, "text: expected a text, got none");
    else if (model_cache_lock(cache)) {
        q->status = MHD_HTTP_SERVICE_UNAVAILABLE;
        fail(&q->err, "busy with another request");
    } else {
        struct cached_model *m = model_cache_get(cache, path, text, &q->err);
        if (m)
            return m;
        model_cache_unlock(cache);
        q->status = access(path, F_OK) ? MHD_HTTP_NOT_FOUND : 0;
    }
    return NULL;
}

int answer_lens(struct request *q)
{
    struct cached_model *m = lock_model(q, true);
    if (!m)
        return -1;
    const size_t k = size_min(TOP, m->inspection.config->vocab_size);
    cJSON *json = inspection_json(&m->inspection, k, &q->err);
    model_cache_unlock(&q->server->cache);
    return answer_json(q, json);
}

int answer_attention(struct request *q)
{
    uint64_t layer;
    struct cached_model *m = lock_model(q, true);
    if (!m)
        return -1;
    struct inspection *in = &m->inspection;
    int status = request_number(q, "layer", in->config->n_layer - 1, 0, &layer);
    if (status == 0) {
        inspection_attention(in, layer);
        const size_t size = in->config->n_head * in->T * in->T * sizeof *in->weights;
        char *copy = malloc(size + 1);
        if (copy) /* little-endian, like all supported machines */
            *(char *)mempcpy(copy, in->weights, size) = 0;
        status = answer_text(q, "application/octet-stream", copy);
        q->size = size;
    }
    model_cache_unlock(&q->server->cache);
    return status;
}

int answer_gradient(struct request *q)
{
    uint64_t position, vectors;
    struct cached_model *m = lock_model(q, true);
    if (!m)
        return -1;
    int status = -1;
    if (m->inspection.T < 2)
        fail(&q->err, "text: expected at least two tokens, got one");
    else if (request_number(q, "position", m->inspection.T - 2, 0, &position) == 0 &&
             request_number(q, "vectors", 1, 0, &vectors) == 0)
        status = answer_json(q, inspection_json_gradient(&m->inspection, position, vectors));
    model_cache_unlock(&q->server->cache);
    return status;
}

/* --- generated text --- */

struct stream {
    struct model_cache *cache;
    struct cached_model *model;
    struct generator generator;
    uint64_t left;       /* tokens to generate */
    char tail[UTF8_MAX]; /* an incomplete character at the end of the last token */
    char *ready;         /* text to send */
    size_t n_tail, n_ready, sent;
};

static void stream_end(void *context)
{
    struct stream *s = context;
    generator_destroy(&s->generator);
    pthread_mutex_lock(&s->cache->lock);
    cached_model_release(s->model);
    pthread_mutex_unlock(&s->cache->lock);
    free(s->ready);
    free(s);
}

/* Makes the bytes of another token ready to send. An incomplete character at the end has to wait
 * for the next token, unless this is the last. */
static int take_bytes(struct stream *s, const char *bytes, size_t n, bool last)
{
    const size_t size = s->n_tail + n;
    char *ready = realloc(s->ready, 4 * size + 1);
    if (!ready)
        return -1;
    char *raw = ready + 3 * size;
    memcpy(raw, s->tail, s->n_tail);
    memcpy(raw + s->n_tail, bytes, n);
    const size_t whole = last ? size : utf8_complete(raw, size);
    s->ready = ready;
    s->n_ready = utf8_repair(raw, whole, ready);
    s->sent = 0;
    s->n_tail = size - whole;
    memcpy(s->tail, raw + whole, s->n_tail);
    return 0;
}

static int next_token(struct stream *s)
{
    struct error err;
    size_t n;
    if (model_cache_lock(s->cache))
        return -1;
    const int status = generator_next(&s->generator, &err);
    model_cache_unlock(s->cache);
    s->left--;
    const char *bytes = status ? NULL
                               : tokenizer_name(s->model->inspection.file.tokenizer,
                                                s->generator.ids[s->generator.n - 1], &n);
    return status ? -1 : take_bytes(s, bytes, n, false);
}

static ssize_t stream_next(void *context, uint64_t position, char *bytes, size_t size)
{
    struct stream *s = context;
    (void)position;
    while (s->sent == s->n_ready) {
        if (s->left == 0 && s->n_tail == 0)
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (s->left ? next_token(s) : take_bytes(s, "", 0, true))
            return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    const size_t n = size_min(s->n_ready - s->sent, size);
    memcpy(bytes, s->ready + s->sent, n);
    s->sent += n;
    return (ssize_t)n;
}

/* A number of the query from min to max, or `absent` if it is missing. */
static int request_real(struct request *q, const char *name, double min, double max, double absent,
                        double *value)
{
    const char *text = request_parameter(q, name);
    char *end;
    *value = absent;
    if (!text)
        return 0;
    *value = strtod(text, &end);
    if (end != text && !*end && *value >= min && *value <= max)
        return 0;
    return fail(&q->err, "%s: expected a number from %g to %g, got \"%.100s\"", name, min, max,
                text);
}

/* Sets up a stream that continues the query's prompt. The cache must be locked. */
static int begin_stream(struct request *q, struct cached_model *m, struct stream *s)
{
    struct error err;
    struct sampler *sampler = &s->generator.sampler;
    uint64_t top_k;
    const struct model_file *f = &m->inspection.file;
    struct generation plan = generation_of(&f->model, f->tokenizer, &f->config, &f->state);
    plan.prompt = request_parameter(q, "prompt");
    if (generator_create(&s->generator, &plan, &err))
        return fail(&q->err, "%s", err.text + strspn(err.text, "-")); /* prompt, not --prompt */
    if (request_number(q, "tokens", TOKENS_MAX, 200, &s->left) ||
        request_real(q, "temperature", 0, 1e6, 0.8, &sampler->temperature) ||
        request_number(q, "top_k", UINT32_MAX, 200, &top_k) ||
        request_real(q, "top_p", 0, 1, 1, &sampler->top_p) ||
        request_number(q, "seed", UINT64_MAX, 1337, &sampler->seed)) {
        generator_destroy(&s->generator);
        return -1;
    }
    sampler->top_k = top_k;
    s->cache = &q->server->cache;
    s->model = m;
    m->users++;
    return 0;
}

int answer_generate(struct request *q)
{
    struct cached_model *m = lock_model(q, false);
    if (!m)
        return -1;
    struct stream *s = calloc(1, sizeof *s);
    const int status = s ? begin_stream(q, m, s) : answer_text(q, NULL, NULL);
    model_cache_unlock(&q->server->cache);
    if (status) {
        free(s);
        return status;
    }
    q->type = "text/plain; charset=utf-8";
    q->next = stream_next;
    q->end = stream_end;
    q->stream = s;
    return 0;
}
