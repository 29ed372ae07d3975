/* routes.c: the paths that the server answers: the table at the end, the page and its data. */
#include "train/report/page.h"
#include "train/serve/server.h"
#include <string.h>

/* Reads what is new of a run. The server's lock must be held. */
static int refresh(struct request *q, struct history *run)
{
    if (history_refresh(run, &q->err) == 0)
        return 0;
    q->status = MHD_HTTP_SERVICE_UNAVAILABLE;
    return -1;
}

static int answer_page(struct request *q)
{
    struct server *s = q->server;
    struct error ignored; /* such a run is shown as it was */
    pthread_mutex_lock(&s->lock);
    for (size_t i = 1; i < s->n; i++)
        history_refresh(&s->runs[i], &ignored);
    const int status = refresh(q, s->runs);
    char *html = status ? NULL : page_html(s->runs, s->n, true, NULL);
    pthread_mutex_unlock(&s->lock);
    return status ? status : answer_text(q, "text/html; charset=utf-8", html);
}

static int answer_data(struct request *q)
{
    const char *text = request_parameter(q, "seen");
    struct history_seen seen = {0};
    struct history *run = request_run(q);
    char end;
    if (!run)
        return -1;
    if (text && (strspn(text, "0123456789.") != strlen(text) ||
                 sscanf(text, "%19lu.%9lu.%9lu.%9lu.%9lu%c", &seen.epoch, &seen.counts[0],
                        &seen.counts[1], &seen.counts[2], &seen.counts[3], &end) != 5))
        return fail(&q->err,
                    "seen: expected EPOCH and four counts, as in 1.2.3.4.5, got \"%.100s\"", text);
    pthread_mutex_lock(&q->server->lock);
    const int status = refresh(q, run);
    char *json = status ? NULL : history_json(run, &seen);
    pthread_mutex_unlock(&q->server->lock);
    return status ? status : answer_text(q, "application/json", json);
}

const struct route routes[] = {
    /* The page with all data. It comes first, since other sites may link to the first route. */
    {"/", answer_page},
    /* run=N, seen=EPOCH.STEPS.EVALUATIONS.TENSORS.SAMPLES: what is new of a run (history_json) */
    {"/data", answer_data},

    /* The following take run=N and, except the first, checkpoint=best.h5 or ckpt-STEP.h5. */
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
