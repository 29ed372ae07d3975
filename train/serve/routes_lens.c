/* routes_lens.c: see routes_lens.h. */
#include "train/serve/routes_lens.h"
#include "base/utf8.h"
#include "train/generator.h"
#include "train/lens/inspection_json.h"
#include "train/lens/model_cache.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TOP = 10, TOKENS_MAX = 10000 };

/* --- which model, and which text --- */

/* The path of the checkpoint that the query names. -1 with the reply filled in. */
static int request_checkpoint(const struct request *q, char *path, size_t size, struct reply *r)
{
    const struct history *run = request_run(q, r);
    const char *name = request_parameter(q, "checkpoint");
    if (!run)
        return -1;
    if (!name || !lens_checkpoint_name(name)) {
        reply_error(r, MHD_HTTP_BAD_REQUEST,
                    "checkpoint: expected best.h5 or ckpt-STEP.h5, got \"%.100s\"",
                    name ? name : "");
        return -1;
    }
    if ((size_t)snprintf(path, size, "%s/%s", run->dir, name) < size)
        return 0;
    reply_error(r, MHD_HTTP_BAD_REQUEST, "%s: the path is too long", run->dir);
    return -1;
}

/* Enters the room with the model that the query names, and its text where `reads`. NULL, outside, with the reply filled in. */
static struct lens_model *enter(const struct request *q, bool reads, struct reply *r)
{
    char path[4096];
    const char *text = reads ? request_parameter(q, "text") : NULL;
    struct error err;
    bool missing;
    if (request_checkpoint(q, path, sizeof path, r))
        return NULL;
    if (reads && !text) {
        reply_error(r, MHD_HTTP_BAD_REQUEST, "text: is missing");
        return NULL;
    }
    if (lens_room_enter(&q->server->lens)) {
        reply_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "another computation is under way");
        return NULL;
    }
    struct lens_model *m = lens_room_model(&q->server->lens, path, text, &missing, &err);
    if (!m) {
        lens_room_leave(&q->server->lens);
        reply_error(r, missing ? MHD_HTTP_NOT_FOUND : MHD_HTTP_BAD_REQUEST, "%s", err.text);
    }
    return m;
}

/* A number of the query from min to max; missing: `otherwise`. -1, with the reply filled in, where it is none. */
static int request_real(const struct request *q, const char *name, double min, double max,
                        double otherwise, double *value, struct reply *r)
{
    const char *text = request_parameter(q, name);
    char *end;
    *value = otherwise;
    if (!text)
        return 0;
    *value = strtod(text, &end);
    if (end != text && !*end && *value >= min && *value <= max)
        return 0;
    reply_error(r, MHD_HTTP_BAD_REQUEST, "%s: expected a number from %g to %g, got \"%.100s\"",
                name, min, max, text);
    return -1;
}

/* --- what it sees --- */

int answer_checkpoints(const struct request *q, struct reply *r)
{
    const struct history *run = request_run(q, r);
    char **names;
    size_t n;
    struct error err;
    if (!run)
        return 0;
    const int status = lens_checkpoints(run->dir, &names, &n, &err);
    FILE *out = status ? NULL : open_memstream(&r->text, &r->size);
    if (out)
        fputs("{\"checkpoints\": [", out);
    for (size_t i = 0; i < n; i++) {
        if (out)
            fprintf(out, "%s\"%s\"", i ? ", " : "", names[i]); /* letters, digits, - and . */
        free(names[i]);
    }
    free(names);
    if (status)
        return reply_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "%s", err.text);
    if (!out)
        return -1;
    fputs("]}\n", out);
    r->type = "application/json";
    return fclose(out) ? -1 : 0;
}

int answer_lens(const struct request *q, struct reply *r)
{
    struct lens_model *m = enter(q, true, r);
    struct error err;
    if (!m)
        return 0;
    const size_t V = m->reading.file.model.tensors->config.vocab_size;
    FILE *out = open_memstream(&r->text, &r->size);
    const int status = out ? inspection_json_begin(out, &m->reading, TOP < V ? TOP : V, &err) : -1;
    lens_room_leave(&q->server->lens);
    if (!out)
        return -1;
    fputs("}\n", out);
    r->type = "application/json";
    return fclose(out) || status ? -1 : 0;
}

int answer_attention(const struct request *q, struct reply *r)
{
    uint64_t layer;
    struct lens_model *m = enter(q, true, r);
    if (!m)
        return 0;
    const struct model_config *c = &m->reading.file.model.tensors->config;
    int status = 0;
    if (request_number(q, "layer", c->n_layer - 1, 0, &layer, r) == 0) {
        inspection_attention(&m->reading, layer);
        r->size = c->n_head * m->reading.T * m->reading.T * sizeof(float);
        r->type = "application/octet-stream";
        r->text = malloc(r->size);
        if (r->text)
            memcpy(r->text, m->reading.weights,
                   r->size); /* little-endian, as every machine that this runs on */
        else
            status = -1;
    }
    lens_room_leave(&q->server->lens);
    return status;
}

int answer_gradient(const struct request *q, struct reply *r)
{
    uint64_t position, vectors;
    struct lens_model *m = enter(q, true, r);
    if (!m)
        return 0;
    int status = 0;
    if (m->reading.T < 2)
        reply_error(r, MHD_HTTP_BAD_REQUEST, "a text of one token has no next token, so no loss");
    else if (request_number(q, "position", m->reading.T - 2, 0, &position, r) == 0 &&
             request_number(q, "vectors", 1, 0, &vectors, r) == 0) {
        FILE *out = open_memstream(&r->text, &r->size);
        if (out)
            inspection_json_gradient(out, &m->reading, position, vectors);
        r->type = "application/json";
        status = !out || fclose(out) ? -1 : 0;
    }
    lens_room_leave(&q->server->lens);
    return status;
}

/* --- what it writes --- */

/* A text under way. Bytes wait in `pending` until their character is whole, and in `ready` until they are sent. */
struct stream {
    struct lens_room *room;
    struct lens_model *model;
    struct generator generator;
    uint64_t left; /* tokens */
    char *pending, *ready;
    size_t n_pending, n_ready, sent;
};

static void stream_end(void *context)
{
    struct stream *s = context;
    generator_destroy(&s->generator);
    pthread_mutex_lock(&s->room->lock);
    lens_model_drop(s->model);
    pthread_mutex_unlock(&s->room->lock);
    free(s->pending);
    free(s->ready);
    free(s);
}

/* Takes the bytes of one more token, or, with NULL, the end. */
static int take_bytes(struct stream *s, const char *bytes, size_t n)
{
    char *pending = realloc(s->pending, s->n_pending + n + 1);
    if (!pending)
        return -1;
    s->pending = pending;
    if (bytes)
        memcpy(pending + s->n_pending, bytes, n);
    s->n_pending += n;
    const size_t whole = bytes ? utf8_complete(pending, s->n_pending) : s->n_pending;
    char *ready = realloc(s->ready, 3 * whole + 1);
    if (!ready)
        return -1;
    s->ready = ready;
    s->n_ready = utf8_repair(pending, whole, ready);
    s->sent = 0;
    memmove(pending, pending + whole, s->n_pending - whole);
    s->n_pending -= whole;
    return 0;
}

static ssize_t stream_next(void *context, char *bytes, size_t room)
{
    struct stream *s = context;
    while (s->sent == s->n_ready) {
        struct error err;
        size_t n;
        if (s->left == 0) {
            if (s->n_pending == 0)
                return 0;
            if (take_bytes(s, NULL, 0))
                return -1;
            continue;
        }
        if (lens_room_enter(s->room))
            return -1;
        const int status = generator_next(&s->generator, &err);
        lens_room_leave(s->room);
        s->left--;
        if (status)
            return -1;
        const char *token = tokenizer_bytes(s->model->reading.file.tokenizer,
                                            s->generator.ids[s->generator.n - 1], &n);
        if (take_bytes(s, token, n))
            return -1;
    }
    const size_t n = s->n_ready - s->sent < room ? s->n_ready - s->sent : room;
    memcpy(bytes, s->ready + s->sent, n);
    s->sent += n;
    return (ssize_t)n;
}

/* In the room: a stream that goes on from the query's prompt. */
static int begin_stream(const struct request *q, struct lens_model *m, struct stream *s,
                        struct reply *r)
{
    struct error err;
    double temperature, top_p;
    uint64_t top_k, seed;
    if (request_number(q, "tokens", TOKENS_MAX, 200, &s->left, r) ||
        request_real(q, "temperature", 0, 1e6, 0.8, &temperature, r) ||
        request_number(q, "top_k", UINT32_MAX, 200, &top_k, r) ||
        request_real(q, "top_p", 0, 1, 1, &top_p, r) ||
        request_number(q, "seed", UINT64_MAX, 1337, &seed, r))
        return -1;
    if (generator_create(&s->generator, &m->reading.file.model, m->reading.file.tokenizer,
                         request_parameter(q, "prompt"), 1, &err)) {
        reply_error(r, MHD_HTTP_BAD_REQUEST, "%s",
                    err.text + strspn(err.text, "-")); /* --prompt is prompt here */
        return -1;
    }
    s->generator.sampler.temperature = temperature;
    s->generator.sampler.top_k = top_k;
    s->generator.sampler.top_p = top_p;
    s->generator.sampler.seed = seed;
    s->room = &q->server->lens;
    s->model = m;
    lens_model_keep(m);
    return 0;
}

int answer_generate(const struct request *q, struct reply *r)
{
    struct lens_model *m = enter(q, false, r);
    if (!m)
        return 0;
    struct stream *s = calloc(1, sizeof *s);
    const int status = s ? begin_stream(q, m, s, r) : -1;
    lens_room_leave(&q->server->lens);
    if (status) {
        free(s);
        return s ? 0 : -1;
    }
    r->type = "text/plain; charset=utf-8";
    r->next = stream_next;
    r->end = stream_end;
    r->stream = s;
    return 0;
}
