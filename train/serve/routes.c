/* routes.c: the paths that the server answers: the table at the end, the page and its data. */
#include "train/report/page.h"
#include "train/serve/routes_lens.h"
#include "train/serve/server.h"
#include <string.h>

static int answer_page(const struct request *q, struct reply *r)
{
    struct server *s = q->server;
    struct error err;
    int status = 0;
    pthread_mutex_lock(&s->lock);
    for (size_t i = s->n;
         i-- > 0;) /* a run other than the first that cannot be read is shown as it was */
        status = history_refresh(&s->runs[i], &err);
    char *html = status ? NULL : page_html(s->runs, s->n, true);
    pthread_mutex_unlock(&s->lock);
    if (status)
        return reply_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "%s", err.text);
    return reply_text(r, "text/html; charset=utf-8", html);
}

static int answer_data(const struct request *q, struct reply *r)
{
    const char *text = request_parameter(q, "seen");
    struct history_seen seen = {0};
    struct history *run = request_run(q, r);
    struct error err;
    char end;
    if (!run)
        return 0;
    if (text && (strspn(text, "0123456789.") != strlen(text) ||
                 sscanf(text, "%19lu.%9lu.%9lu.%9lu.%9lu%c", &seen.epoch, &seen.counts[0],
                        &seen.counts[1], &seen.counts[2], &seen.counts[3], &end) != 5))
        return reply_error(r, MHD_HTTP_BAD_REQUEST,
                           "seen: expected an epoch and four counts such as 1.2.3.4.5, got "
                           "\"%.100s\"",
                           text);
    pthread_mutex_lock(&q->server->lock);
    const int status = history_refresh(run, &err);
    char *json = status ? NULL : history_json(run, &seen);
    pthread_mutex_unlock(&q->server->lock);
    if (status)
        return reply_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "%s", err.text);
    return reply_text(r, "application/json", json);
}

const struct route routes[] = {
    /* The page with all data. It comes first, since server.c lets other sites link to the first route. */
    {"/", answer_page},
    /* run=N, seen=EPOCH.STEPS.EVALUATIONS.TENSORS.SAMPLES: what is new of a run (history_json) */
    {"/data", answer_data},

    /* All of the following take run=N and, but for the first, checkpoint=best.h5 or ckpt-STEP.h5. */
    {"/lens/checkpoints", answer_checkpoints},
    /* text: predictions after each block (inspection_json) */
    {"/lens", answer_lens},
    /* text, layer: float32 weights (H,T,T) */
    {"/lens/attention", answer_attention},
    /* text, position, vectors=1: the gradient of one loss (inspection_json_gradient) */
    {"/lens/gradient", answer_gradient},
    /* prompt, tokens, temperature, top_k, top_p, seed: generated text, as a stream */
    {"/lens/generate", answer_generate},
};
const size_t route_count = sizeof routes / sizeof *routes;
