/* evaluate.c: one pass over a split. The sum of the losses is kept in double, token by token in their order, so the mean is the
 * same at any batch size but for the rounding of each loss itself. */
#include "evaluate.h"
#include "stop.h"
#include <math.h>
#include <stdlib.h>

struct pass {
    struct gpt *g;
    const struct passes *passes;
    struct split *split;
    const struct tokenizer *tokenizer;
    uint32_t *tokens, *inputs, *targets; /* (rows T + 1), (rows, T), (rows, T) */
    double nats, bytes;
};

/* rows windows of T tokens each, from token `first` of the split on. */
static int add_batch(struct pass *p, uint64_t first, size_t rows, size_t T, struct error *err)
{
    const size_t n = rows * T;
    if (split_read(p->split, first, n + 1, p->tokens, err))
        return -1;
    for (size_t i = 0; i < n; i++) {
        p->inputs[i] = p->tokens[i];
        p->targets[i] = p->tokens[i + 1];
    }
    p->passes->loss(p->g, p->inputs, p->targets, rows, T, NULL);
    for (size_t i = 0; i < n; i++) {
        p->nats += p->g->losses[i];
        size_t length = 0;
        if (p->tokenizer)
            tokenizer_bytes(p->tokenizer, p->targets[i], &length);
        p->bytes += (double)length;
    }
    return 0;
}

static int add_all(struct pass *p, uint64_t total, size_t rows, size_t T, const struct interruption *i, bool *stopped,
                   struct error *err)
{
    uint64_t done = 0;
    while (done < total) {
        if ((*stopped = i->ask(i->context)))
            return 0;
        const uint64_t left = total - done;
        const size_t windows = left / T < rows ? (size_t)(left / T) : rows;
        if (add_batch(p, done, windows ? windows : 1, windows ? T : (size_t)left, err))
            return -1;
        done += windows ? windows * T : left;
    }
    return 0;
}

static bool ask_stop(void *context)
{
    (void)context;
    return stop_requested();
}

int evaluate(struct evaluation *e, struct gpt *g, const struct passes *passes, struct split *split, size_t rows,
             uint64_t max_tokens, const struct tokenizer *tokenizer, struct error *err)
{
    return evaluate_interruptibly(e, g, passes, split, rows, max_tokens, tokenizer, &(struct interruption){ask_stop, NULL}, err);
}

int evaluate_interruptibly(struct evaluation *e, struct gpt *g, const struct passes *passes, struct split *split, size_t rows,
                           uint64_t max_tokens, const struct tokenizer *tokenizer, const struct interruption *interruption,
                           struct error *err)
{
    const size_t T = g->tensors->config.block_size, n = rows * T;
    uint64_t total = split_tokens(split) - 1;
    if (max_tokens && max_tokens < total)
        total = max_tokens;
    uint32_t *tokens = malloc((3 * n + 1) * sizeof *tokens);
    if (!tokens)
        return fail(err, "evaluation: no memory for %zu tokens", n);
    struct pass p = {.g = g, .passes = passes, .split = split, .tokenizer = tokenizer};
    p.tokens = tokens;
    p.inputs = tokens + n + 1;
    p.targets = p.inputs + n;
    *e = (struct evaluation){0};
    const int status = add_all(&p, total, rows, T, interruption, &e->stopped, err);
    free(tokens);
    e->tokens = total;
    e->loss = p.nats / (double)total;
    e->perplexity = exp(e->loss);
    e->bits_per_byte = p.bytes > 0 ? p.nats / log(2) / p.bytes : NAN;
    return status;
}
