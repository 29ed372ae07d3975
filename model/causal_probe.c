/* causal_probe.c: see causal_probe.h. All comparisons are exact: causality is a loop bound, so keys
 * that a query may not see are in none of its sums. */
#include "model/causal_probe.h"
#include "base/minmax.h"
#include "model/attention.h"
#include "model/philox.h"
#include "model/real.h"
#include "model/zero.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POSITIONS = 3, WEIGHT_PASSES = 4, DOCUMENTS = 4 };

struct probe {
    struct gpt *g;
    struct batch batch;
    size_t T, C, H, Q;
    bool documents;
    uint32_t *ids, *targets; /* (T + 1); (T), the same from the second on */
    uint32_t *start;         /* (T): all 0 without documents */
    real *ln_f, *losses;     /* of the unchanged sequence */
    real *qkv, *y, *lse;     /* for attention alone */
    char *message;
    size_t size;
};

static bool differs(const real *a, const real *b, size_t n)
{
    return memcmp(a, b, n * sizeof(real)) != 0;
}

/* Whether the result at position n may depend on the token at t. */
static bool sees(const struct probe *p, size_t n, size_t t)
{
    return t <= n && t >= p->start[n];
}

/* Changes the token at t and compares all rows that do not see it with those of the first run. */
static int check_outputs(struct probe *p, size_t t)
{
    struct gpt *g = p->g;
    const uint32_t V = (uint32_t)g->tensors->config.vocab_size, id = p->ids[t];
    p->ids[t] = (id + 1 + id % (V - 1)) % V;
    gpt_loss(g, &p->batch, NULL); /* the targets are a copy and stay */
    p->ids[t] = id;
    for (size_t n = 0; n < p->T; n++)
        if (!sees(p, n, t) && (differs(g->ln_f + n * p->C, p->ln_f + n * p->C, p->C) ||
                               differs(g->losses + n, p->losses + n, 1))) {
            snprintf(p->message, p->size,
                     "the model leaks: another token at position %zu changes the output at "
                     "position %zu",
                     t, n);
            return -1;
        }
    return 0;
}

/* Computes the gradient of the loss at t alone with respect to the embeddings. */
static int check_gradients(struct probe *p, size_t t)
{
    struct gpt *g = p->g;
    zero(g->dlosses, p->T);
    g->dlosses[t] = 1;
    gpt_backward(g, &p->batch, NULL);
    for (size_t i = 0; i < p->T * p->C; i++)
        if (!sees(p, t, i / p->C) && !(g->dstream[i] == 0)) {
            snprintf(p->message, p->size,
                     "the backward leaks: the loss at position %zu has a gradient with respect to "
                     "the token at position %zu",
                     t, i / p->C);
            return -1;
        }
    return 0;
}

/* The position that divides zeros and ones in column c of the values. Over all columns and passes,
 * these positions are spread over the sequence. */
static size_t threshold(const struct probe *p, size_t pass, size_t c)
{
    const size_t D = p->C / p->H;
    return (pass * D + c % D) * p->T / (WEIGHT_PASSES * D);
}

enum values { ONES, ONES_BEYOND, ONES_UP_TO }; /* the threshold */

/* Attention with the queries and keys of the first layer and values of zero and one. */
static void attend(struct probe *p, enum values values, size_t pass)
{
    for (size_t j = 0; j < p->T; j++)
        for (size_t c = 0; c < p->C; c++) {
            const bool beyond = j > threshold(p, pass, c);
            p->qkv[j * p->Q + 2 * p->C + c] = values == ONES || (values == ONES_BEYOND) == beyond;
        }
    attention_forward(p->y, p->lse, p->qkv, p->batch.start, 1, p->T, p->C, p->H, NULL, 0);
}

/* If all values are one, each output is the sum of a query's weights; with ones beyond the
 * threshold, it is the weight of the keys beyond it; with ones up to the threshold, that of earlier
 * documents. */
static int check_weights(struct probe *p)
{
    attend(p, ONES, 0);
    const double tolerance = real_epsilon * (16 + (double)p->T);
    for (size_t i = 0; i < p->T * p->C; i++)
        if (!(fabs((double)real_part(p->y[i]) - 1) <= tolerance)) {
            snprintf(p->message, p->size,
                     "the attention weights of the query at position %zu sum to %.9g instead of 1",
                     i / p->C, (double)real_part(p->y[i]));
            return -1;
        }
    for (size_t pass = 0; pass < WEIGHT_PASSES; pass++) {
        attend(p, ONES_BEYOND, pass);
        for (size_t i = 0; i < p->T * p->C; i++)
            if (i / p->C <= threshold(p, pass, i % p->C) && !(p->y[i] == 0)) {
                snprintf(p->message, p->size,
                         "attention leaks: the query at position %zu has weights beyond position "
                         "%zu",
                         i / p->C, threshold(p, pass, i % p->C));
                return -1;
            }
        if (!p->documents)
            continue;
        attend(p, ONES_UP_TO, pass);
        for (size_t i = 0; i < p->T * p->C; i++)
            if (p->start[i / p->C] > threshold(p, pass, i % p->C) && !(p->y[i] == 0)) {
                snprintf(p->message, p->size,
                         "attention leaks: the query at position %zu has weights before the "
                         "beginning of its document, at position %zu",
                         i / p->C, (size_t)p->start[i / p->C]);
                return -1;
            }
    }
    return 0;
}

static int allocate(struct probe *p)
{
    p->ids = malloc((p->T + 1) * sizeof *p->ids);
    p->targets = malloc(p->T * sizeof *p->targets);
    p->start = calloc(p->T, sizeof *p->start);
    p->ln_f = malloc(p->T * p->C * sizeof(real));
    p->losses = malloc(p->T * sizeof(real));
    p->qkv = malloc(p->T * p->Q * sizeof(real));
    p->y = malloc(p->T * p->C * sizeof(real));
    p->lse = malloc(p->T * p->H * sizeof(real));
    if (p->ids && p->targets && p->start && p->ln_f && p->losses && p->qkv && p->y && p->lse)
        return 0;
    snprintf(p->message, p->size, "no memory for the causal probe");
    return -1;
}

static void draw_tokens(struct probe *p)
{
    for (size_t n = 0; n <= p->T; n++) {
        uint32_t c[4] = {(uint32_t)n, 0, 0, 0x70726F62};
        philox4x32(c, 0, 0);
        p->ids[n] = (uint32_t)(c[0] % p->g->tensors->config.vocab_size);
    }
    memcpy(p->targets, p->ids + 1, p->T * sizeof *p->targets);
}

/* Divides the row into four documents; the second has one token, if T is large enough. */
static void divide(struct probe *p)
{
    const size_t T = p->T, begin[DOCUMENTS] = {0, T / 3, T / 3 + 1, 2 * T / 3};
    for (size_t d = 0; d < DOCUMENTS; d++)
        for (size_t n = begin[d]; n < T; n++)
            p->start[n] = (uint32_t)begin[d];
    for (size_t n = 1; n < T; n++)
        if (p->start[n] == n)
            p->targets[n - 1] = NO_TARGET;
    p->batch.start = p->start;
}

static int run(struct probe *p)
{
    const size_t T = p->T;
    draw_tokens(p);
    p->batch = (struct batch){
        .inputs = p->ids, .targets = p->targets, .weight = 1, .rows = 1, .block_size = T};
    if (p->documents)
        divide(p);
    gpt_loss(p->g, &p->batch, NULL);
    memcpy(p->ln_f, p->g->ln_f, T * p->C * sizeof(real));
    memcpy(p->losses, p->g->losses, T * sizeof(real));
    memcpy(p->qkv, p->g->blocks[0].qkv, T * p->Q * sizeof(real));
    if (check_weights(p))
        return -1;
    /* Tokens to change: the last, one in the middle that is not at the edge of a tile, and the
     * second. With documents: the last of the third document, the document of one token, and the
     * first. The losses whose gradients are checked lie before these tokens, or begin a document
     * after them. */
    const size_t last = 2 * T / 3;
    const size_t at[POSITIONS] = {p->documents ? (last ? last - 1 : 0) : T - 1,
                                  p->documents ? T / 3 : T / 2 + T / 7, !p->documents};
    const size_t loss_at[POSITIONS - 1] = {p->documents ? last : at[0] - 1,
                                           p->documents ? T / 3 + 1 : at[1] - 1};
    for (size_t i = 0; i < POSITIONS && T > 1 && p->g->tensors->config.vocab_size > 1; i++)
        if (at[i] < T && check_outputs(p, at[i]))
            return -1;
    for (size_t i = 0; i < POSITIONS - 1 && T > 1 && p->g->grads; i++)
        if (check_gradients(p, loss_at[i]))
            return -1;
    return 0;
}

int gpt_causal_probe(struct gpt *g, bool documents, char *message, size_t size)
{
    const struct model_config *c = &g->tensors->config;
    struct probe p = {.g = g,
                      .documents = documents,
                      .T = size_min(c->block_size, g->max_rows),
                      .C = c->n_embd,
                      .H = c->n_head,
                      .Q = model_dim(c, 'Q'),
                      .message = message,
                      .size = size};
    const int failed = allocate(&p) || run(&p);
    free(p.start);
    free(p.ids);
    free(p.targets);
    free(p.ln_f);
    free(p.losses);
    free(p.qkv);
    free(p.y);
    free(p.lse);
    if (g->grads)
        zero(g->grads, g->tensors->total);
    return failed ? -1 : 0;
}
