/* decode.c: the forward of one sequence, a few tokens at a time. Keys and values of earlier tokens do not depend on later ones
 * (that is what causal means), so they are kept: attention for a new token reads T cached rows, everything else is one row.
 */
#include "decode.h"
#include "embedding.h"
#include "gemm.h"
#include "layernorm.h"
#include "softmax.h"
#include <string.h>

static void lay_out(struct decoder *s)
{
    struct arena *m = &s->arena;
    const struct model_config *c = &s->model->tensors->config;
    const size_t N = s->max_rows, C = c->n_embd, cache = c->n_layer * c->block_size * C;
    s->keys = arena_take(m, cache, sizeof(real));
    s->values = arena_take(m, cache, sizeof(real));
    s->x = arena_take(m, N * C, sizeof(real));
    s->scores = arena_take(m, N * c->n_head * c->block_size, sizeof(real));
    s->ln_f = arena_take(m, C, sizeof(real));
    s->mean = arena_take(m, 1, sizeof(real));
    s->rstd = arena_take(m, 1, sizeof(real));
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

int decoder_create(struct decoder *s, const struct gpt *model, size_t max_rows)
{
    *s = (struct decoder){.model = model, .max_rows = max_rows};
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

/* s->block.att (n,C): queries of the n new tokens against all keys up to their own. */
static void attention_cached(struct decoder *s, size_t n, size_t layer)
{
    const struct model_config *c = &s->model->tensors->config;
    const size_t C = c->n_embd, H = c->n_head, size = C / H, T = c->block_size;
    real *keys = s->keys + layer * T * C, *values = s->values + layer * T * C;
    for (size_t i = 0; i < n; i++) {
        memcpy(keys + (s->length + i) * C, s->block.qkv + i * 3 * C + C, C * sizeof(real));
        memcpy(values + (s->length + i) * C, s->block.qkv + i * 3 * C + 2 * C, C * sizeof(real));
    }
    const double scale = 1 / sqrt((double)size);
#pragma omp parallel for schedule(dynamic)
    for (size_t ih = 0; ih < n * H; ih++) {
        const size_t i = ih / H, h = ih % H, seen = s->length + i + 1;
        const real *q = s->block.qkv + i * 3 * C + h * size;
        real *p = s->scores + ih * T;
        gemm_tile(N_, T_, 1, seen, size, scale, q, size, keys + h * size, C, 0, p, seen);
        softmax_row(p, p, seen);
        gemm_tile(N_, N_, 1, size, seen, 1, p, seen, values + h * size, C, 0, s->block.att + i * C + h * size, size);
    }
}

void decoder_forward(struct decoder *s, real *logits, const uint32_t *ids, size_t n)
{
    const struct gpt *g = s->model;
    const struct model_config *c = &g->tensors->config;
    const size_t C = c->n_embd;
    ASSERT(n > 0 && n <= s->max_rows && s->length + n <= c->block_size);
    embedding_forward(s->x, ids, g->w[0][WTE], g->w[0][WPE], s->length, 1, n, C);
    for (size_t l = 0; l < c->n_layer; l++) {
        block_before_attention(&s->block, s->x, g->w[l], n, C);
        attention_cached(s, n, l);
        block_after_attention(&s->block, &s->scratch, s->x, g->w[l], n, n, c, NULL, (uint32_t)l);
    }
    s->length += n;
    layernorm_forward(s->ln_f, s->mean, s->rstd, s->x + (n - 1) * C, g->w[0][LN_F_WEIGHT], g->w[0][LN_F_BIAS], 1, C);
    gemm(N_, T_, 1, c->vocab_size, C, 1, s->ln_f, C, g->w[0][WTE], C, 0, logits, c->vocab_size);
}
