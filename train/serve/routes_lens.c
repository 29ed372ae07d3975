/* routes_lens.c: see routes_lens.h. */
#include "train/serve/routes_lens.h"
#include "base/utf8.h"
#include "train/generator.h"
#include "train/lens/inspection_json.h"
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

int answer_checkpoints(const struct request *q, struct reply *r)
{
    const struct history *run = request_run(q, r);
    struct dirent **entries;
    if (!run)
        return 0;
    const int n = scandir(run->dir, &entries, is_checkpoint_entry, newest_first);
    if (n < 0)
        return reply_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "%s: %s", run->dir, strerror(errno));
    cJSON *json = cJSON_CreateObject(), *names = cJSON_AddArrayToObject(json, "checkpoints");
    for (int i = 0; i < n; i++) {
        cJSON_AddItemToArray(names, cJSON_CreateString(entries[i]->d_name));
        free(entries[i]);
    }
    free(entries);
    return reply_json(r, json);
}

/* --- the model --- */

/* Locks the cache and returns the model of the query's checkpoint, which has read the query's text if `reads`. Returns NULL after filling in
 * the reply; the cache is not locked then. */
static struct cached_model *lock_model(const struct request *q, bool reads, struct reply *r)
{
    struct model_cache *cache = &q->server->cache;
    const struct history *run = request_run(q, r);
    const char *name = request_parameter(q, "checkpoint"),
               *text = reads ? request_parameter(q, "text") : NULL;
    char path[4096];
    struct error err;
    if (!run)
        return NULL;
    if (!name || !is_checkpoint(name))
        reply_error(r, MHD_HTTP_BAD_REQUEST,
                    "checkpoint: expected best.h5 or ckpt-STEP.h5, got \"%.100s\"",
                    name ? name : "");
    else if ((size_t)snprintf(path, sizeof path, "%s/%s", run->dir, name) >= sizeof path)
        reply_error(r, MHD_HTTP_BAD_REQUEST, "%s: the path is too long", run->dir);
    else if (reads && !text)
        reply_error(r, MHD_HTTP_BAD_REQUEST, "text: expected a text, got none");
    else if (model_cache_lock(cache))
        reply_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "busy with another request");
    else {
        struct cached_model *m = model_cache_get(cache, path, text, &err);
        if (m)
            return m;
        model_cache_unlock(cache);
        reply_error(r, access(path, F_OK) ? MHD_HTTP_NOT_FOUND : MHD_HTTP_BAD_REQUEST, "%s",
                    err.text);
    }
    return NULL;
}

int answer_lens(const struct request *q, struct reply *r)
{
    struct cached_model *m = lock_model(q, true, r);
    struct error err;
    if (!m)
        return 0;
    const size_t V = m->inspection.config->vocab_size;
    const int status = reply_json(r, inspection_json(&m->inspection, TOP < V ? TOP : V, &err));
    model_cache_unlock(&q->server->cache);
    return status;
}

int answer_attention(const struct request *q, struct reply *r)
{
    uint64_t layer;
    struct cached_model *m = lock_model(q, true, r);
    if (!m)
        return 0;
    struct inspection *in = &m->inspection;
    int status = 0;
    if (request_number(q, "layer", in->config->n_layer - 1, 0, &layer, r) == 0) {
        inspection_attention(in, layer);
        r->size = in->config->n_head * in->T * in->T * sizeof *in->weights;
        r->type = "application/octet-stream"; /* little-endian, like all supported machines */
        r->text = malloc(r->size);
        if (r->text)
            memcpy(r->text, in->weights, r->size);
        else
            status = -1;
    }
    model_cache_unlock(&q->server->cache);
    return status;
}

int answer_gradient(const struct request *q, struct reply *r)
{
    uint64_t position, vectors;
    struct cached_model *m = lock_model(q, true, r);
    if (!m)
        return 0;
    int status = 0;
    if (m->inspection.T < 2)
        reply_error(r, MHD_HTTP_BAD_REQUEST, "text: expected at least two tokens, got one");
    else if (request_number(q, "position", m->inspection.T - 2, 0, &position, r) == 0 &&
             request_number(q, "vectors", 1, 0, &vectors, r) == 0)
        status = reply_json(r, inspection_json_gradient(&m->inspection, position, vectors));
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

/* Makes the bytes of one more token ready to send, but for an incomplete character, unless they are the last. */
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
                               : tokenizer_bytes(s->model->inspection.file.tokenizer,
                                                 s->generator.ids[s->generator.n - 1], &n);
    return status ? -1 : take_bytes(s, bytes, n, false);
}

static ssize_t stream_next(void *context, uint64_t position, char *bytes, size_t room)
{
    struct stream *s = context;
    (void)position;
    while (s->sent == s->n_ready) {
        if (s->left == 0 && s->n_tail == 0)
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (s->left ? next_token(s) : take_bytes(s, "", 0, true))
            return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    const size_t n = s->n_ready - s->sent < room ? s->n_ready - s->sent : room;
    memcpy(bytes, s->ready + s->sent, n);
    s->sent += n;
    return (ssize_t)n;
}

/* A number of the query from min to max, or `absent` if it is missing. Returns -1 after filling in the reply if it is invalid. */
static int request_real(const struct request *q, const char *name, double min, double max,
                        double absent, double *value, struct reply *r)
{
    const char *text = request_parameter(q, name);
    char *end;
    *value = absent;
    if (!text)
        return 0;
    *value = strtod(text, &end);
    if (end != text && !*end && *value >= min && *value <= max)
        return 0;
    reply_error(r, MHD_HTTP_BAD_REQUEST, "%s: expected a number from %g to %g, got \"%.100s\"",
                name, min, max, text);
    return -1;
}

/* Sets up a stream that continues the query's prompt. Returns -1 after filling in the reply. The cache is locked. */
static int begin_stream(const struct request *q, struct cached_model *m, struct stream *s,
                        struct reply *r)
{
    struct error err;
    struct sampler *sampler = &s->generator.sampler;
    uint64_t top_k;
    if (generator_create(&s->generator, &m->inspection.file.model, m->inspection.file.tokenizer,
                         request_parameter(q, "prompt"), 1, &err)) {
        reply_error(r, MHD_HTTP_BAD_REQUEST, "%s",
                    err.text + strspn(err.text, "-")); /* the parameter is prompt, not --prompt */
        return -1;
    }
    if (request_number(q, "tokens", TOKENS_MAX, 200, &s->left, r) ||
        request_real(q, "temperature", 0, 1e6, 0.8, &sampler->temperature, r) ||
        request_number(q, "top_k", UINT32_MAX, 200, &top_k, r) ||
        request_real(q, "top_p", 0, 1, 1, &sampler->top_p, r) ||
        request_number(q, "seed", UINT64_MAX, 1337, &sampler->seed, r)) {
        generator_destroy(&s->generator);
        return -1;
    }
    sampler->top_k = top_k;
    s->cache = &q->server->cache;
    s->model = m;
    cached_model_retain(m);
    return 0;
}

int answer_generate(const struct request *q, struct reply *r)
{
    struct cached_model *m = lock_model(q, false, r);
    if (!m)
        return 0;
    struct stream *s = calloc(1, sizeof *s);
    const int status = s ? begin_stream(q, m, s, r) : -1;
    model_cache_unlock(&q->server->cache);
    if (status) {
        free(s);
        return s ? 0 : -1;
    }
    *r = (struct reply){
        .type = "text/plain; charset=utf-8", .next = stream_next, .end = stream_end, .stream = s};
    return 0;
}
