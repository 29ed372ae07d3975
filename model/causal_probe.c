/* causal_probe.c: see probe.h. Every comparison is exact: causality is a loop bound, so what may not be seen is not part of any sum. */
#include "model/causal_probe.h"
#include "model/attention.h"
#include "model/loss.h"
#include "model/philox.h"
#include "model/real.h"
#include "model/zero.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POSITIONS = 3, WEIGHT_PASSES = 4, DOCUMENTS = 4 };

struct probe {
    struct gpt *g;
    size_t T, C;
    uint32_t *ids, *targets; /* T + 1, and the same from the second on */
    uint32_t *start;         /* where each token's document begins: all 0 where the row is one */
    bool documents;
    real *ln_f, *losses; /* of the first run */
    real *qkv, *y, *lse; /* for attention alone */
    char *message;
    size_t size;
};

static bool differs(const real *a, const real *b, size_t n)
{
    return memcmp(a, b, n * sizeof(real)) != 0;
}

/* Whether what stands at position n may depend on the token at t. */
static bool sees(const struct probe *p, size_t n, size_t t)
{
    return t <= n && t >= p->start[n];
}

/* Changes the token at t, runs, and compares all rows that do not see it with those of the first run. */
static int check_outputs(struct probe *p, size_t t)
{
    struct gpt *g = p->g;
    const uint32_t V = (uint32_t)g->tensors->config.vocab_size, id = p->ids[t];
    p->ids[t] = (id + 1 + id % (V - 1)) % V;
    gpt_loss(g, p->ids, p->targets, 1, p->T, NULL); /* the targets stay */
    p->ids[t] = id;
    for (size_t n = 0; n < p->T; n++)
        if (!sees(p, n, t) && (differs(g->ln_f + n * p->C, p->ln_f + n * p->C, p->C) ||
                               differs(g->losses + n, p->losses + n, 1))) {
            snprintf(
                p->message, p->size,
                "the model leaks: another token at position %zu changes the output at position %zu",
                t, n);
            return -1;
        }
    return 0;
}

/* The loss at t alone, back to the embeddings. */
static int check_gradients(struct probe *p, size_t t)
{
    struct gpt *g = p->g;
    zero(g->dlosses, p->T);
    g->dlosses[t] = 1;
    gpt_backward(g, p->ids, p->targets, 1, p->T, NULL);
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

/* Attention with the first layer's own queries and keys and these values: element c of value j is v(j, c). */
static void attend(struct probe *p, bool (*v)(const struct probe *, size_t, size_t, size_t),
                   size_t pass)
{
    for (size_t j = 0; j < p->T; j++)
        for (size_t c = 0; c < p->C; c++)
            p->qkv[j * 3 * p->C + 2 * p->C + c] = v(p, pass, j, c);
    attention_forward(p->y, p->lse, p->qkv, p->g->start, 1, p->T, p->C,
                      p->g->tensors->config.n_head, NULL, 0);
}

static bool always(const struct probe *p, size_t pass, size_t j, size_t c)
{
    (void)p, (void)pass, (void)j, (void)c;
    return true;
}

/* The last position that counts for column c: over columns and passes, all over the sequence. */
static size_t threshold(const struct probe *p, size_t pass, size_t c)
{
    const size_t d = p->C / p->g->tensors->config.n_head;
    return (pass * d + c % d) * p->T / (WEIGHT_PASSES * d);
}

static bool beyond(const struct probe *p, size_t pass, size_t j, size_t c)
{
    return j > threshold(p, pass, c);
}

static bool before(const struct probe *p, size_t pass, size_t j, size_t c)
{
    return j <= threshold(p, pass, c);
}

/* With values of one, each output is the sum of a query's weights; with ones beyond a threshold only, the weight of what lies
 * beyond; with ones up to it, that of the documents before. */
static int check_weights(struct probe *p)
{
    attend(p, always, 0);
    const double tolerance = real_epsilon * (16 + (double)p->T);
    for (size_t i = 0; i < p->T * p->C; i++)
        if (!(fabs((double)real_part(p->y[i]) - 1) <= tolerance)) {
            snprintf(p->message, p->size,
                     "attention's weights of the query at position %zu sum to %.9g, not to one",
                     i / p->C, (double)real_part(p->y[i]));
            return -1;
        }
    for (size_t pass = 0; pass < WEIGHT_PASSES; pass++) {
        attend(p, beyond, pass);
        for (size_t i = 0; i < p->T * p->C; i++)
            if (i / p->C <= threshold(p, pass, i % p->C) && !(p->y[i] == 0)) {
                snprintf(
                    p->message, p->size,
                    "attention leaks: the query at position %zu has weights beyond position %zu",
                    i / p->C, threshold(p, pass, i % p->C));
                return -1;
            }
        if (!p->documents)
            continue;
        attend(p, before, pass);
        for (size_t i = 0; i < p->T * p->C; i++)
            if (p->start[i / p->C] > threshold(p, pass, i % p->C) && !(p->y[i] == 0)) {
                snprintf(p->message, p->size,
                         "attention leaks: the query at position %zu has weights before its "
                         "document, which begins at %zu",
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
    p->qkv = malloc(3 * p->T * p->C * sizeof(real));
    p->y = malloc(p->T * p->C * sizeof(real));
    p->lse = malloc(p->T * p->g->tensors->config.n_head * sizeof(real));
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

/* Four documents: the second, if T has room for so many, of one token. */
static void divide(struct probe *p)
{
    const size_t T = p->T, begin[DOCUMENTS] = {0, T / 3, T / 3 + 1, 2 * T / 3};
    for (size_t d = 0; d < DOCUMENTS; d++)
        for (size_t n = begin[d]; n < T; n++)
            p->start[n] = (uint32_t)begin[d];
    for (size_t n = 1; n < T; n++)
        if (p->start[n] == n)
            p->targets[n - 1] = NO_TARGET;
    p->g->start = p->start;
}

static int run(struct probe *p)
{
    const size_t T = p->T;
    draw_tokens(p);
    p->g->start = NULL;
    if (p->documents)
        divide(p);
    gpt_loss(p->g, p->ids, p->targets, 1, T, NULL);
    memcpy(p->ln_f, p->g->ln_f, T * p->C * sizeof(real));
    memcpy(p->losses, p->g->losses, T * sizeof(real));
    memcpy(p->qkv, p->g->blocks[0].qkv, 3 * T * p->C * sizeof(real));
    if (check_weights(p))
        return -1;
    /* The last token, one in the middle (not at a tile's border alone), and the second; or the last but one document's, the
     * document of one token, and the first. Their losses' gradients: those before, or those that documents begin with. */
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
    const size_t T = g->tensors->config.block_size, C = g->tensors->config.n_embd;
    const uint32_t *start = g->start;
    struct probe p = {.g = g,
                      .documents = documents,
                      .T = T < g->max_rows ? T : g->max_rows,
                      .C = C,
                      .message = message,
                      .size = size};
    const int failed = allocate(&p) || run(&p);
    g->start = start;
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
