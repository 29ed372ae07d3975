/* routes.c: what can be asked of the server: the table at the end, and its answers. */
#include "train/report/page.h"
#include "train/serve/routes_lens.h"
#include "train/serve/server.h"
#include <stdlib.h>
#include <string.h>

/* Reads what is new, and lets `write` write the answer. */
static int answer_from_run(const struct request *q, struct history *run, struct reply *r,
                           void (*write)(const struct request *q, const struct history *run,
                                         const void *context, FILE *out),
                           const void *context)
{
    struct error err;
    FILE *out = open_memstream(&r->text, &r->size);
    if (!out)
        return -1;
    pthread_mutex_lock(&q->server->lock);
    const int status = history_refresh(run, &err);
    if (!status)
        write(q, run, context, out);
    pthread_mutex_unlock(&q->server->lock);
    if (fclose(out))
        return -1;
    if (!status)
        return 0;
    free(r->text);
    return reply_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "%s", err.text);
}

static void write_page(const struct request *q, const struct history *run, const void *context,
                       FILE *out)
{
    (void)run;
    (void)context;
    page_write(out, q->server->runs, q->server->n, true);
}

static int answer_page(const struct request *q, struct reply *r)
{
    struct error ignored;
    r->type = "text/html; charset=utf-8";
    pthread_mutex_lock(&q->server->lock);
    for (size_t i = 1; i < q->server->n; i++)
        history_refresh(&q->server->runs[i], &ignored); /* it is shown as it was */
    pthread_mutex_unlock(&q->server->lock);
    return answer_from_run(q, q->server->runs, r, write_page, NULL);
}

static void write_data(const struct request *q, const struct history *run, const void *context,
                       FILE *out)
{
    (void)q;
    history_json(run, context, out);
}

/* A table that the page has already: "EPOCH.COUNT". */
static int parse_seen(const struct request *q, const char *name, uint64_t *epoch, uint64_t *count,
                      struct reply *r)
{
    const char *text = request_parameter(q, name);
    char end;
    unsigned long long e, n;
    if (!text)
        return 0;
    if (strspn(text, "0123456789.") != strlen(text) || strlen(text) > 38 ||
        sscanf(text, "%llu.%llu%c", &e, &n, &end) != 2) {
        reply_error(r, MHD_HTTP_BAD_REQUEST, "%s: expected EPOCH.COUNT, got \"%.100s\"", name,
                    text);
        return -1;
    }
    *epoch = e;
    *count = n;
    return 0;
}

static int answer_data(const struct request *q, struct reply *r)
{
    struct history_seen seen = {0};
    struct history *run = request_run(q, r);
    if (!run || parse_seen(q, "steps", &seen.steps.epoch, &seen.steps.count, r) ||
        parse_seen(q, "evaluations", &seen.evaluations.epoch, &seen.evaluations.count, r) ||
        parse_seen(q, "tensors", &seen.tensors.epoch, &seen.tensors.count, r) ||
        parse_seen(q, "samples", &seen.samples.epoch, &seen.samples.count, r))
        return 0;
    r->type = "application/json";
    return answer_from_run(q, run, r, write_data, &seen);
}

/* The page comes first: it alone may be opened by a link on another site. */
const struct route routes[] = {
    {"/", answer_page}, /* the page, with all that is known */
    {"/data",
     answer_data}, /* run=N, steps, evaluations, tensors, samples=EPOCH.COUNT: what is new of a run, as history_json writes it */
    /* The model of one checkpoint: all take run=N, and but for the first checkpoint=best.h5 or ckpt-STEP.h5. */
    {"/lens/checkpoints", answer_checkpoints}, /* which there are */
    {"/lens",
     answer_lens}, /* text: what the model expects next, after each block; reading_json.h */
    {"/lens/attention", answer_attention}, /* text, layer: float32 weights (H,T,T) */
    {"/lens/gradient",
     answer_gradient}, /* text, position, vectors=1: of one loss, to every embedding */
    {"/lens/generate",
     answer_generate}, /* prompt, tokens, temperature, top_k, top_p, seed: a text as it is written */
};
const size_t route_count = sizeof routes / sizeof *routes;
