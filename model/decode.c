/* decode.c: the forward of a few texts, a few tokens at a time. Keys and values of earlier tokens do not depend on later ones
 * (that is what causal means), so they are kept: attention for a new token reads T cached rows, everything else is one row.
 * Reading the weights is what a row costs; rows of several texts share it. Row i texts + b is token i of text b.
 */
#include "model/decode.h"
#include "model/embedding.h"
#include "model/gemm/gemm.h"
#include "model/layernorm.h"
#include "model/real.h"
#include "model/softmax.h"
#include <string.h>

static void lay_out(struct decoder *s)
{
    struct arena *m = &s->arena;
    const struct model_config *c = &s->model->tensors->config;
    const size_t N = s->max_rows, C = c->n_embd, cache = c->n_layer * s->texts * c->block_size * C;
    s->keys = arena_take(m, cache, sizeof(real));
    s->values = arena_take(m, cache, sizeof(real));
    s->x = arena_take(m, N * C, sizeof(real));
    s->scores = arena_take(m, N * c->n_head * c->block_size, sizeof(real));
    s->ln_f = arena_take(m, s->texts * C, sizeof(real));
    s->mean = arena_take(m, s->texts, sizeof(real));
    s->rstd = arena_take(m, s->texts, sizeof(real));
    struct block_activations *a = &s->block;
    a->ln_1 = a->ln_2 = arena_take(m, N * C, sizeof(real));
    a->ln_1_mean = a->ln_2_mean = arena_take(m, N, sizeof(real));
    a->ln_1_rstd = a->ln_2_rstd = arena_take(m, N, sizeof(real));
    a->qkv = arena_take(m, N * 3 * C, sizeof(real));
    a->att = arena_take(m, N * C, sizeof(real));
    a->mid = arena_take(m, N * C, sizeof(real));
    a->fc = arena_take(m, N * 4 * C, sizeof(real));
    a->act = arena_take(m, N * 4 * C, sizeof(real));
    a->out = s->x;
    s->scratch.branch = arena_take(m, N * C, sizeof(real));
}

int decoder_create(struct decoder *s, const struct gpt *model, size_t texts, size_t max_rows)
{
    ASSERT(texts > 0 && max_rows >= texts);
    *s = (struct decoder){.model = model, .texts = texts, .max_rows = max_rows};
    lay_out(s);
    if (arena_allocate(&s->arena))
        return -1;
    lay_out(s);
    return 0;
}

void decoder_destroy(struct decoder *s)
{
    arena_free(&s->arena);
}

void decoder_rewind(struct decoder *s, size_t length)
{
    ASSERT(length <= s->length);
    s->length = length;
}

/* Where text b's keys or values of a layer begin. */
static real *cached(const struct decoder *s, real *cache, size_t layer, size_t b)
{
    const struct model_config *c = &s->model->tensors->config;
    return cache + (layer * s->texts + b) * c->block_size * c->n_embd;
}

/* s->block.att (n texts,C): queries of the n new tokens of each of the first `texts` texts against all keys up to their own. */
static void attention_cached(struct decoder *s, size_t n, size_t texts, size_t layer)
{
    const struct model_config *c = &s->model->tensors->config;
    const size_t C = c->n_embd, H = c->n_head, size = C / H, T = c->block_size;
    for (size_t r = 0; r < n * texts; r++) {
        const size_t at = (s->length + r / texts) * C;
        memcpy(cached(s, s->keys, layer, r % texts) + at, s->block.qkv + r * 3 * C + C,
               C * sizeof(real));
        memcpy(cached(s, s->values, layer, r % texts) + at, s->block.qkv + r * 3 * C + 2 * C,
               C * sizeof(real));
    }
    const double scale = 1 / sqrt((double)size);
#pragma omp parallel for schedule(dynamic)
    for (size_t rh = 0; rh < n * texts * H; rh++) {
        const size_t r = rh / H, h = rh % H, seen = s->length + r / texts + 1;
        const real *q = s->block.qkv + r * 3 * C + h * size;
        const real *keys = cached(s, s->keys, layer, r % texts),
                   *values = cached(s, s->values, layer, r % texts);
        real *p = s->scores + rh * T;
        gemm_tile(N_, T_, 1, seen, size, scale, q, size, keys + h * size, C, 0, p, seen);
        softmax_row(p, p, seen);
        gemm_tile(N_, N_, 1, size, seen, 1, p, seen, values + h * size, C, 0,
                  s->block.att + r * C + h * size, size);
    }
}

static void forward(struct decoder *s, real *logits, const uint32_t *ids, size_t n, size_t texts)
{
    const struct gpt *g = s->model;
    const struct model_config *c = &g->tensors->config;
    const size_t C = c->n_embd, rows = n * texts;
    ASSERT(n > 0 && rows <= s->max_rows && s->length + n <= c->block_size);
    for (size_t i = 0; i < n; i++)
        embedding_forward(s->x + i * texts * C, ids + i * texts, g->w[0][WTE], g->w[0][WPE],
                          s->length + i, texts, 1, C);
    for (size_t l = 0; l < c->n_layer; l++) {
        block_before_attention(&s->block, s->x, g->w[l], rows, C);
        attention_cached(s, n, texts, l);
        block_after_attention(&s->block, &s->scratch, s->x, g->w[l], rows, n, c, NULL, (uint32_t)l);
    }
    s->length += n;
    layernorm_forward(s->ln_f, s->mean, s->rstd, s->x + (rows - texts) * C, g->w[0][LN_F_WEIGHT],
                      g->w[0][LN_F_BIAS], texts, C);
    gemm(N_, T_, texts, c->vocab_size, C, 1, s->ln_f, C, g->w[0][WTE], C, 0, logits, c->vocab_size);
}

void decoder_forward(struct decoder *s, real *logits, const uint32_t *ids, size_t n)
{
    forward(s, logits, ids, n, s->texts);
}

void decoder_prompt(struct decoder *s, real *logits, const uint32_t *ids, size_t n)
{
    const struct model_config *c = &s->model->tensors->config;
    const size_t C = c->n_embd, before = s->length * C, V = c->vocab_size;
    forward(s, logits, ids, n, 1);
    for (size_t b = 1; b < s->texts; b++) {
        for (size_t l = 0; l < c->n_layer; l++) {
            memcpy(cached(s, s->keys, l, b) + before, cached(s, s->keys, l, 0) + before,
                   n * C * sizeof(real));
            memcpy(cached(s, s->values, l, b) + before, cached(s, s->values, l, 0) + before,
                   n * C * sizeof(real));
        }
        memcpy(logits + b * V, logits, V * sizeof(real));
    }
}
