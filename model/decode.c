/* decode.c: the forward of a few sequences, a few tokens at a time. Keys and values of earlier
 * tokens do not depend on later ones, since attention is causal, so they are cached: attention for
 * a new token reads the cached rows, and everything else works on one row per token. Reading the
 * weights takes most of the time, and the rows of several sequences share it. Row i * sequences + s
 * is token i of sequence s.
 */
#include "model/decode.h"
#include "model/embedding.h"
#include "model/gemm/gemm.h"
#include "model/layernorm.h"
#include "model/real.h"
#include "model/softmax.h"
#include <string.h>

/* Takes every array from the arena; called twice: see arena.h. */
static void lay_out(struct decoder *s)
{
    struct arena *m = &s->arena;
    const struct model_config *c = &s->model->tensors->config;
    const size_t N = s->max_rows, C = c->n_embd, S = s->sequences,
                 cache = c->n_layer * S * c->block_size * C;
    s->keys = arena_take(m, cache, sizeof(real));
    s->values = arena_take(m, cache, sizeof(real));
    s->x = arena_take(m, N * C, sizeof(real));
    s->scores = arena_take(m, N * c->n_head * c->block_size, sizeof(real));
    s->ln_f = arena_take(m, S * C, sizeof(real));
    s->mean = arena_take(m, S, sizeof(real));
    s->rstd = arena_take(m, S, sizeof(real));
    s->start = arena_take(m, S, sizeof *s->start);
    s->starts = arena_take(m, N, sizeof *s->starts);
    block_take_activations(&s->block, m, c, N);
    s->block.ln_1 = s->block.ln_2 = arena_take(m, N * C, sizeof(real));
    s->block.act = arena_take(m, N * model_dim(c, 'F'), sizeof(real));
    s->block.out = s->x;
    s->scratch.branch = arena_take(m, N * C, sizeof(real));
}

int decoder_create(struct decoder *s, const struct gpt *model, size_t sequences, size_t max_rows)
{
    ASSERT(sequences > 0 && max_rows >= sequences);
    *s = (struct decoder){
        .model = model, .sequences = sequences, .max_rows = max_rows, .separator = NO_SEPARATOR};
    lay_out(s);
    if (arena_allocate(&s->arena))
        return -1;
    lay_out(s);
    decoder_rewind(s, 0);
    return 0;
}

void decoder_destroy(struct decoder *s)
{
    arena_free(&s->arena);
}

void decoder_rewind(struct decoder *s, size_t length)
{
    ASSERT(length <= s->length && (length == 0 || s->separator == NO_SEPARATOR));
    s->length = length;
    memset(s->start, 0, s->sequences * sizeof *s->start);
}

/* The keys or values of a sequence in a layer. */
static real *cached(const struct decoder *s, real *cache, size_t layer, size_t sequence)
{
    const struct model_config *c = &s->model->tensors->config;
    return cache + (layer * s->sequences + sequence) * c->block_size * c->n_embd;
}

/* Determines where the context of each row begins. */
static void find_starts(struct decoder *s, const uint32_t *ids, size_t n, size_t sequences)
{
    for (size_t r = 0; r < n * sequences; r++) {
        if (ids[r] == s->separator)
            s->start[r % sequences] = s->length + r / sequences;
        s->starts[r] = s->start[r % sequences];
    }
}

/* Attention of n new tokens of the first `sequences` sequences: appends their keys and values to
 * the cache and computes s->block.att (n sequences, C). */
static void attention_cached(struct decoder *s, size_t n, size_t sequences, size_t layer)
{
    const struct model_config *c = &s->model->tensors->config;
    const size_t C = c->n_embd, Q = model_dim(c, 'Q'), H = c->n_head, D = C / H, T = c->block_size;
    for (size_t r = 0; r < n * sequences; r++) {
        const size_t at = (s->length + r / sequences) * C;
        const real *qkv = s->block.qkv + r * Q;
        memcpy(cached(s, s->keys, layer, r % sequences) + at, qkv + C, C * sizeof(real));
        memcpy(cached(s, s->values, layer, r % sequences) + at, qkv + 2 * C, C * sizeof(real));
    }
    const double scale = 1 / sqrt((double)D);
#pragma omp parallel for schedule(dynamic)
    for (size_t rh = 0; rh < n * sequences * H; rh++) {
        const size_t r = rh / H, h = rh % H, first = s->starts[r],
                     length = s->length + r / sequences + 1 - first;
        const real *q = s->block.qkv + r * Q + h * D,
                   *keys = cached(s, s->keys, layer, r % sequences) + first * C + h * D,
                   *values = cached(s, s->values, layer, r % sequences) + first * C + h * D;
        real *p = s->scores + rh * T;
        gemm_tile(N_, T_, 1, length, D, scale, q, D, keys, C, 0, p, length);
        softmax_row(p, p, length);
        gemm_tile(N_, N_, 1, D, length, 1, p, length, values, C, 0, s->block.att + r * C + h * D,
                  D);
    }
}

static void forward(struct decoder *s, real *logits, const uint32_t *ids, size_t n,
                    size_t sequences)
{
    const struct gpt *g = s->model;
    const struct model_config *c = &g->tensors->config;
    const size_t C = c->n_embd, rows = n * sequences;
    ASSERT(n > 0 && rows <= s->max_rows && s->length + n <= c->block_size);
    find_starts(s, ids, n, sequences);
    for (size_t i = 0; i < n; i++)
        embedding_forward(s->x + i * sequences * C, ids + i * sequences, g->w[0][WTE], g->w[0][WPE],
                          s->length + i, sequences, 1, C);
    for (size_t l = 0; l < c->n_layer; l++) {
        block_before_attention(&s->block, s->x, g->w[l], rows, c);
        attention_cached(s, n, sequences, l);
        block_after_attention(&s->block, &s->scratch, s->x, g->w[l], rows, n, c, NULL, (uint32_t)l);
    }
    s->length += n;
    layernorm_forward(s->ln_f, s->mean, s->rstd, s->x + (rows - sequences) * C,
                      g->w[0][LN_F_WEIGHT], g->w[0][LN_F_BIAS], sequences, C);
    gemm(N_, T_, sequences, c->vocab_size, C, 1, s->ln_f, C, g->w[0][WTE], C, 0, logits,
         c->vocab_size);
}

void decoder_forward(struct decoder *s, real *logits, const uint32_t *ids, size_t n)
{
    forward(s, logits, ids, n, s->sequences);
}

void decoder_prompt(struct decoder *s, real *logits, const uint32_t *ids, size_t n)
{
    const struct model_config *c = &s->model->tensors->config;
    const size_t C = c->n_embd, first = s->length * C, bytes = n * C * sizeof(real),
                 V = c->vocab_size;
    forward(s, logits, ids, n, 1);
    for (size_t b = 1; b < s->sequences; b++) {
        s->start[b] = s->start[0];
        for (size_t l = 0; l < c->n_layer; l++) {
            memcpy(cached(s, s->keys, l, b) + first, cached(s, s->keys, l, 0) + first, bytes);
            memcpy(cached(s, s->values, l, b) + first, cached(s, s->values, l, 0) + first, bytes);
        }
        memcpy(logits + b * V, logits, V * sizeof(real));
    }
}
