/* probe.c: see probe.h. Every comparison is exact: causality is a loop bound, so what may not be seen is not part of any sum. */
#include "probe.h"
#include "attention.h"
#include "philox.h"
#include "zero.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POSITIONS = 3, WEIGHT_PASSES = 4 };

struct probe {
    struct gpt *g;
    size_t T, C;
    uint32_t *ids, *targets; /* T + 1, and the same from the second on */
    real *ln_f, *losses;     /* of the first run */
    real *qkv, *y, *lse;     /* for attention alone */
    char *message;
    size_t size;
};

static bool differs(const real *a, const real *b, size_t n)
{
    return memcmp(a, b, n * sizeof(real)) != 0;
}

/* Changes the token at t, runs, and compares all rows before it with those of the first run. */
static int check_outputs(struct probe *p, size_t t)
{
    struct gpt *g = p->g;
    const uint32_t V = (uint32_t)g->tensors->config.vocab_size, id = p->ids[t];
    p->ids[t] = (id + 1 + id % (V - 1)) % V;
    gpt_loss(g, p->ids, p->targets, 1, p->T, NULL); /* the targets stay */
    p->ids[t] = id;
    for (size_t n = 0; n < t; n++)
        if (differs(g->ln_f + n * p->C, p->ln_f + n * p->C, p->C) || differs(g->losses + n, p->losses + n, 1)) {
            snprintf(p->message, p->size, "the model leaks: another token at position %zu changes the output at position %zu", t,
                     n);
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
    for (size_t i = (t + 1) * p->C; i < p->T * p->C; i++)
        if (!(g->dstream[i] == 0)) {
            snprintf(p->message, p->size,
                     "the backward leaks: the loss at position %zu has a gradient with respect to the token at position %zu", t,
                     i / p->C);
            return -1;
        }
    return 0;
}

/* Attention with the first layer's own queries and keys and these values: element c of value j is v(j, c). */
static void attend(struct probe *p, bool (*v)(const struct probe *, size_t, size_t, size_t), size_t pass)
{
    for (size_t j = 0; j < p->T; j++)
        for (size_t c = 0; c < p->C; c++)
            p->qkv[j * 3 * p->C + 2 * p->C + c] = v(p, pass, j, c);
    attention_forward(p->y, p->lse, p->qkv, 1, p->T, p->C, p->g->tensors->config.n_head, NULL, 0);
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

/* With values of one, each output is the sum of a query's weights; with ones beyond a threshold only, the weight of what lies
 * beyond. */
static int check_weights(struct probe *p)
{
    attend(p, always, 0);
    const double tolerance = real_epsilon * (16 + (double)p->T);
    for (size_t i = 0; i < p->T * p->C; i++)
        if (!(fabs((double)real_part(p->y[i]) - 1) <= tolerance)) {
            snprintf(p->message, p->size, "attention's weights of the query at position %zu sum to %.9g, not to one", i / p->C,
                     (double)real_part(p->y[i]));
            return -1;
        }
    for (size_t pass = 0; pass < WEIGHT_PASSES; pass++) {
        attend(p, beyond, pass);
        for (size_t i = 0; i < p->T * p->C; i++)
            if (i / p->C <= threshold(p, pass, i % p->C) && !(p->y[i] == 0)) {
                snprintf(p->message, p->size, "attention leaks: the query at position %zu has weights beyond position %zu",
                         i / p->C, threshold(p, pass, i % p->C));
                return -1;
            }
    }
    return 0;
}

static int allocate(struct probe *p)
{
    p->ids = malloc((p->T + 1) * sizeof *p->ids);
    p->targets = malloc(p->T * sizeof *p->targets);
    p->ln_f = malloc(p->T * p->C * sizeof(real));
    p->losses = malloc(p->T * sizeof(real));
    p->qkv = malloc(3 * p->T * p->C * sizeof(real));
    p->y = malloc(p->T * p->C * sizeof(real));
    p->lse = malloc(p->T * p->g->tensors->config.n_head * sizeof(real));
    if (p->ids && p->targets && p->ln_f && p->losses && p->qkv && p->y && p->lse)
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

static int run(struct probe *p)
{
    const size_t T = p->T;
    draw_tokens(p);
    gpt_loss(p->g, p->ids, p->targets, 1, T, NULL);
    memcpy(p->ln_f, p->g->ln_f, T * p->C * sizeof(real));
    memcpy(p->losses, p->g->losses, T * sizeof(real));
    memcpy(p->qkv, p->g->blocks[0].qkv, 3 * T * p->C * sizeof(real));
    if (check_weights(p))
        return -1;
    /* The last token, one in the middle (not at a tile's border alone), and the second. */
    const size_t at[POSITIONS] = {T - 1, T / 2 + T / 7, 1};
    for (size_t i = 0; i < POSITIONS && T > 1 && p->g->tensors->config.vocab_size > 1; i++)
        if (at[i] < T && check_outputs(p, at[i]))
            return -1;
    for (size_t i = 0; i < POSITIONS - 1 && T > 1 && p->g->grads; i++)
        if (check_gradients(p, at[i] - 1))
            return -1;
    return 0;
}

int gpt_causal_probe(struct gpt *g, char *message, size_t size)
{
    const size_t T = g->tensors->config.block_size, C = g->tensors->config.n_embd;
    struct probe p = {.g = g, .T = T < g->max_rows ? T : g->max_rows, .C = C, .message = message, .size = size};
    const int failed = allocate(&p) || run(&p);
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
