/* evaluate.c: see evaluate.h. Losses are summed in double, in the order of the tokens, so that the
 * mean depends on the batch size only through the rounding of each loss. */
#include "train/evaluate.h"
#include "base/minmax.h"
#include "base/stop.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct pass {
    struct gpt *g;
    const struct model_code *code;
    const struct evaluation_plan *plan;
    const struct documents *documents;   /* NULL: not masked */
    uint32_t *tokens, *targets, *starts; /* (rows T + 1), and (rows, T) each */
    double nats, bytes;
    uint64_t counted;
};

/* Adds `rows` windows of T tokens each, starting at token `first` of the split. */
static int add_batch(struct pass *p, uint64_t first, size_t rows, size_t T, struct error *err)
{
    const size_t n = rows * T;
    if (split_read(p->plan->split, first, n + 1, p->tokens, err))
        return -1;
    memcpy(p->targets, p->tokens + 1, n * sizeof *p->targets);
    for (size_t r = 0; r < rows && p->documents; r++)
        documents_mask(p->documents, first + r * T, T, p->starts + r * T, p->targets + r * T);
    const struct batch batch = {.inputs = p->tokens,
                                .targets = p->targets,
                                .start = p->documents ? p->starts : NULL,
                                .weight = 1,
                                .rows = rows,
                                .block_size = T};
    double loss[2];
    p->code->loss(loss, p->g, &batch, NULL);
    for (size_t i = 0; i < n; i++) {
        if (p->targets[i] == NO_TARGET)
            continue;
        p->nats += p->g->losses[i];
        p->counted++;
        size_t length = 0;
        if (p->plan->tokenizer)
            tokenizer_bytes(p->plan->tokenizer, p->targets[i], &length);
        p->bytes += length;
    }
    return 0;
}

static int add_all(struct pass *p, uint64_t total, size_t rows, size_t T, bool *stopped,
                   struct error *err)
{
    for (uint64_t done = 0; done < total;) {
        const struct evaluation_plan *plan = p->plan;
        if ((*stopped = plan->interrupted ? plan->interrupted(plan->context) : stop_requested()))
            return 0;
        const uint64_t left = total - done;
        const size_t windows = size_min(left / T, rows);
        if (add_batch(p, done, windows ? windows : 1, windows ? T : left, err))
            return -1;
        done += windows ? windows * T : left;
    }
    return 0;
}

int evaluate(struct evaluation *e, struct gpt *g, const struct model_code *code,
             const struct evaluation_plan *plan, struct error *err)
{
    const size_t T = g->tensors->config.block_size, n = plan->rows * T;
    uint64_t total = plan->split->tokens - 1;
    if (plan->max_tokens && plan->max_tokens < total)
        total = plan->max_tokens;
    struct pass p = {.g = g, .code = code, .plan = plan};
    if (plan->mask_documents && !(p.documents = split_documents(plan->split, err)))
        return -1;
    if (!(p.tokens = malloc((3 * n + 1) * sizeof *p.tokens)))
        return fail(err, "evaluation: out of memory for %zu tokens", n);
    p.targets = p.tokens + n + 1;
    p.starts = p.targets + n;
    *e = (struct evaluation){0};
    int status = add_all(&p, total, plan->rows, T, &e->stopped, err);
    if (status == 0 && !e->stopped && !p.counted)
        status = fail(err, "%s/%s: nothing to predict: none of its documents has two tokens",
                      plan->split->dir, plan->split->name);
    free(p.tokens);
    e->tokens = p.counted;
    e->loss = p.nats / p.counted;
    e->perplexity = exp(e->loss);
    e->bits_per_byte = p.bytes > 0 ? p.nats / log(2) / p.bytes : NAN;
    return status;
}
