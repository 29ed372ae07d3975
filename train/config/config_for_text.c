/* config_for_text.c: see config_for_text.h. */
#include "train/config/config_for_text.h"
#include "base/minmax.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const struct shape {
    uint64_t n_layer, n_embd, block_size;
} SHAPES[] = {{2, 64, 64},   {3, 96, 64},   {4, 128, 64},  {4, 192, 128},
              {6, 256, 128}, {6, 384, 256}, {8, 512, 256}, {12, 768, 512}};

static double parameters(const struct shape *s, size_t vocab_size)
{
    return 12.0 * s->n_layer * s->n_embd * s->n_embd + (double)vocab_size * s->n_embd;
}

/* Forward and backward, with causal attention at half, as in peak.h. */
static double flops_per_token(const struct shape *s, size_t vocab_size)
{
    return 6 * parameters(s, vocab_size) + 6.0 * s->n_layer * s->n_embd * s->block_size;
}

/* What an amount is worth of which only `full` counts fully; the rest counts less and less, in the
 * end `most` times `full`. */
static double worth(double amount, double full, double most)
{
    const double rest = fmax(amount / full - 1, 0);
    return fmin(amount, full) + full * most * (1 - exp(-rest / most));
}

/* The loss above that of a perfect model. Repeated tokens are worth less than fresh ones, and so
 * are parameters beyond those that the fresh tokens can determine, one for 20. */
static double predicted_loss(double n_parameters, double seen, double tokens)
{
    return 406.4 * pow(worth(n_parameters, tokens / 20, 5.31), -0.34) +
           410.7 * pow(worth(seen, tokens, 15.39), -0.28);
}

/* To two digits, so that the configuration reads well. */
static double rounded(double x)
{
    char text[32];
    snprintf(text, sizeof text, "%.2g", x);
    return strtod(text, NULL);
}

/* Tokens read in so many operations; reading a text more often would only memorise it. */
static double tokens_seen(const struct shape *s, uint64_t tokens, size_t vocab_size, double flops)
{
    enum { EPOCHS = 30 };
    return fmin(flops / flops_per_token(s, vocab_size), (double)EPOCHS * tokens);
}

static const struct shape *choose_shape(uint64_t tokens, size_t vocab_size, double flops)
{
    const struct shape *best = SHAPES;
    double least = INFINITY;
    for (const struct shape *s = SHAPES; s < SHAPES + sizeof SHAPES / sizeof *SHAPES; s++) {
        const double loss = predicted_loss(parameters(s, vocab_size),
                                           tokens_seen(s, tokens, vocab_size, flops), tokens);
        if (loss < least && (s == SHAPES || tokens > 4 * s->block_size)) {
            least = loss;
            best = s;
        }
    }
    return best;
}

double config_for_text(struct config *c, uint64_t tokens, size_t vocab_size, double flops,
                       uint64_t steps)
{
    enum { ROW_TOKENS = 1024 /* of a step */ };
    const struct shape *s = choose_shape(tokens, vocab_size, flops);
    c->model.n_layer = s->n_layer;
    c->model.n_embd = s->n_embd;
    c->model.n_head = s->n_embd / 32;
    c->model.block_size = size_min(s->block_size, size_max(tokens / 4, 1));
    c->train.batch_size = size_max(ROW_TOKENS / s->block_size, 4);
    const double seen = tokens_seen(s, tokens, vocab_size, flops);
    c->train.steps = steps ? steps : size_max(seen / config_step_tokens(c), 100);
    c->model.dropout = config_epochs(c, tokens) > 4 ? 0.1 : 0;
    c->optim.lr = rounded(0.384 / s->n_embd); /* 0.003 for a width of 128, 0.001 for 384 */
    c->optim.min_lr = rounded(c->optim.lr / 10);
    c->optim.beta2 = 0.99; /* steps have few tokens */
    c->optim.warmup = c->train.steps / 20;
    c->train.eval_every = c->train.checkpoint_every = size_max(c->train.steps / 10, 1);
    c->train.log_every = size_max(c->train.steps / 100, 10);
    c->train.eval_tokens = 65536;
    return flops_per_token(s, vocab_size) * config_step_tokens(c) * c->train.steps;
}

double config_epochs(const struct config *c, uint64_t tokens)
{
    return (double)c->train.steps * config_step_tokens(c) / tokens;
}
