/* evaluate.c: see evaluate.h. Losses are summed in double, in the order of the tokens, so that the
 * mean depends on the batch size only through the rounding of each loss. */
#include "train/evaluate.h"
#include "base/minmax.h"
#include "base/stop.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct pass {
    struct gpt *g;
    const struct model_code *code;
    const struct evaluation_plan *plan;
    const struct documents *documents; /* NULL: not needed */
    uint64_t *begins;                  /* of windows at documents; NULL: every T tokens */
    uint64_t windows, last;            /* the last token to predict */
    uint32_t *tokens, *inputs, *targets, *starts; /* (T + 1), and (rows, T) each */
    double nats, bytes;
    uint64_t counted;
};

/* The first token of window i. */
static uint64_t window_first(const struct pass *p, uint64_t i)
{
    return p->begins ? p->begins[i] : i * p->g->tensors->config.block_size;
}

/* How many targets of window i are not predicted by the next one. */
static size_t window_length(const struct pass *p, uint64_t i)
{
    const uint64_t end = i + 1 < p->windows ? window_first(p, i + 1) : p->last;
    return size_min(end, p->last) - window_first(p, i);
}

/* Reads window i as row r of a batch of T tokens per row. */
static int read_row(struct pass *p, uint64_t i, size_t r, size_t T, struct error *err)
{
    const uint64_t first = window_first(p, i);
    const size_t length = window_length(p, i);
    uint32_t *inputs = p->inputs + r * T, *targets = p->targets + r * T;
    if (split_read_wrapped(p->plan->split, first, T + 1, p->tokens, err))
        return -1;
    memcpy(inputs, p->tokens, T * sizeof *inputs);
    memcpy(targets, p->tokens + 1, T * sizeof *targets);
    if (p->plan->mask_documents)
        documents_mask(p->documents, first, T, p->starts + r * T, targets);
    for (size_t t = length; t < T; t++)
        targets[t] = NO_TARGET;
    return 0;
}

/* Adds windows [i, i + rows). A batch is as wide as its longest window. */
static int add_batch(struct pass *p, uint64_t i, size_t rows, struct error *err)
{
    size_t T = 0;
    for (size_t r = 0; r < rows; r++)
        T = size_max(T, window_length(p, i + r));
    for (size_t r = 0; r < rows; r++)
        if (read_row(p, i + r, r, T, err))
            return -1;
    const struct batch batch = {.inputs = p->inputs,
                                .targets = p->targets,
                                .start = p->plan->mask_documents ? p->starts : NULL,
                                .weight = 1,
                                .rows = rows,
                                .block_size = T};
    double loss[2];
    p->code->loss(loss, p->g, &batch, NULL);
    for (size_t k = 0; k < rows * T; k++) {
        size_t length = 0;
        if (p->targets[k] == NO_TARGET)
            continue;
        p->nats += p->g->losses[k];
        p->counted++;
        if (p->plan->tokenizer)
            tokenizer_bytes(p->plan->tokenizer, p->targets[k], &length);
        p->bytes += length;
    }
    return 0;
}

static int add_all(struct pass *p, bool *stopped, struct error *err)
{
    const struct evaluation_plan *plan = p->plan;
    for (uint64_t i = 0; i < p->windows; i += plan->rows) {
        if ((*stopped = plan->interrupted ? plan->interrupted(plan->context) : stop_requested()))
            return 0;
        if (add_batch(p, i, size_min(p->windows - i, plan->rows), err))
            return -1;
    }
    return 0;
}

/* Finds the windows up to the last token to predict. */
static int find_windows(struct pass *p, size_t T, struct error *err)
{
    const struct evaluation_plan *plan = p->plan;
    p->last = plan->split->tokens - 1;
    if (plan->max_tokens && plan->max_tokens < p->last)
        p->last = plan->max_tokens;
    p->windows = ceil_div(p->last, T);
    if ((plan->mask_documents || plan->windows == WINDOWS_DOCUMENTS) &&
        !(p->documents = split_documents(plan->split, err)))
        return -1;
    if (plan->windows == WINDOWS_ANYWHERE)
        return 0;
    p->windows = documents_windows(p->documents, T, NULL);
    if (!(p->begins = malloc(p->windows * sizeof *p->begins)))
        return fail(err, "evaluation: out of memory for %" PRIu64 " windows", p->windows);
    documents_windows(p->documents, T, p->begins);
    while (p->begins[p->windows - 1] >= p->last && p->windows > 1)
        p->windows--;
    return 0;
}

int evaluate(struct evaluation *e, struct gpt *g, const struct model_code *code,
             const struct evaluation_plan *plan, struct error *err)
{
    const size_t T = g->tensors->config.block_size, n = plan->rows * T;
    struct pass p = {.g = g, .code = code, .plan = plan};
    *e = (struct evaluation){0};
    int status = find_windows(&p, T, err);
    if (!status && !(p.tokens = malloc((T + 1 + 3 * n) * sizeof *p.tokens)))
        status = fail(err, "evaluation: out of memory for %zu tokens", n);
    if (!status) {
        p.inputs = p.tokens + T + 1;
        p.targets = p.inputs + n;
        p.starts = p.targets + n;
        status = add_all(&p, &e->stopped, err);
    }
    if (!status && !e->stopped && !p.counted)
        status = fail(err, "%s/%s: nothing to predict: none of its documents has two tokens",
                      plan->split->dir, plan->split->name);
    free(p.begins);
    free(p.tokens);
    e->tokens = p.counted;
    e->loss = p.nats / p.counted;
    e->perplexity = exp(e->loss);
    e->bits_per_byte = p.bytes > 0 ? p.nats / log(2) / p.bytes : NAN;
    return status;
}
