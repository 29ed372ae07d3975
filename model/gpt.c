/* gpt.c: the composition: embeddings, a stack of blocks, a final LayerNorm, the tied output and its loss.
 *
 * The forward keeps each block's activations, or a part of them (enum gpt_use); the backward walks the blocks from the last to the
 * first with one array, dstream, that is the gradient of the residual stream wherever the walk stands.
 *
 * In more steps: docs/derivations.md#the-whole-model
 */
#include "model/gpt.h"
#include "model/embedding.h"
#include "model/gemm/gemm.h"
#include "model/layernorm.h"
#include "model/loss.h"
#include "model/philox.h"
#include "model/real.h"
#include "model/zero.h"
#include <stdlib.h>
#include <string.h>

/* A block's activations; what is not kept until the backward lies where the first block has it. */
static void lay_out_block(struct gpt *g, size_t layer)
{
    struct arena *m = &g->arena;
    const size_t N = g->max_rows, C = g->tensors->config.n_embd, H = g->tensors->config.n_head;
    struct block_activations *a = &g->blocks[layer];
    const bool keeps = g->use == GPT_TRAIN || g->use == GPT_TRAIN_RECOMPUTE_GELU;
    if (layer > 0)
        *a = g->blocks[0];
    if (layer == 0 || keeps) {
        a->ln_1_mean = arena_take(m, N, sizeof(real));
        a->ln_1_rstd = arena_take(m, N, sizeof(real));
        a->qkv = arena_take(m, N * 3 * C, sizeof(real));
        a->att = arena_take(m, N * C, sizeof(real));
        a->lse = arena_take(m, N * H, sizeof(real));
        a->mid = arena_take(m, N * C, sizeof(real));
        a->ln_2_mean = arena_take(m, N, sizeof(real));
        a->ln_2_rstd = arena_take(m, N, sizeof(real));
        a->fc = arena_take(m, N * 4 * C, sizeof(real));
        a->act = g->use == GPT_TRAIN ? arena_take(m, N * 4 * C, sizeof(real)) : NULL;
    }
    if (layer == 0 || g->use != GPT_INFER)
        a->out = arena_take(m, N * C, sizeof(real));
    a->ln_1 = a->ln_2 = g->ln_f;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Every array of the model. Called twice: see arena.h. */
static void lay_out(struct gpt *g)
{
    struct arena *m = &g->arena;
    const struct model_config *c = &g->tensors->config;
    const size_t N = g->max_rows, C = c->n_embd, rows = block_mlp_rows(N);
    const bool train = g->use != GPT_INFER;
    g->params = arena_take(m, g->tensors->total, sizeof(real));
    g->grads = train ? arena_take(m, g->tensors->total, sizeof(real)) : NULL;
    g->embedded = arena_take(m, N * C, sizeof(real));
    g->ln_f = arena_take(m, N * C, sizeof(real)); /* every LayerNorm's output in its turn */
    for (size_t l = 0; l < c->n_layer; l++)
        lay_out_block(g, l);
    g->scratch.branch = arena_take(m, N * C, sizeof(real));
    g->scratch.act = g->use == GPT_TRAIN ? NULL : arena_take(m, rows * 4 * C, sizeof(real));
    const size_t backward = train ? larger(N * 3 * C, rows * 4 * C) : 0;
    g->scratch.wide =
        arena_take(m, larger(backward, loss_chunk(N, c->padded_vocab_size) * c->padded_vocab_size),
                   sizeof(real));
    g->scratch.wide2 = train ? arena_take(m, rows * 4 * C, sizeof(real)) : NULL;
    g->scratch.narrow = train ? arena_take(m, N * C, sizeof(real)) : NULL;
    g->ln_f_mean = arena_take(m, N, sizeof(real));
    g->ln_f_rstd = arena_take(m, N, sizeof(real));
    g->losses = arena_take(m, N, sizeof(real));
    g->logits = g->scratch.wide;
    g->dlosses = train ? arena_take(m, N, sizeof(real)) : NULL;
    g->dstream = train ? arena_take(m, N * C, sizeof(real)) : NULL;
    g->dln_f = g->scratch.narrow;
}

static void view(real *(*w)[TENSOR_KINDS], real *array, const struct tensors *t)
{
    for (size_t l = 0; l < t->config.n_layer; l++)
        for (int k = 0; k < TENSOR_KINDS; k++) {
            const struct tensor *tensor =
                tensors_find(t, k, k >= LN_1_WEIGHT && k <= MLP_C_PROJ_BIAS ? l : 0);
            w[l][k] = tensor && array ? array + tensor->offset : NULL;
        }
}

int gpt_create(struct gpt *g, struct tensors *tensors, size_t max_rows, enum gpt_use use)
{
    const size_t L = tensors->config.n_layer;
    *g = (struct gpt){.tensors = tensors, .use = use, .max_rows = max_rows};
    g->w = calloc(L, sizeof *g->w);
    g->dw = calloc(L, sizeof *g->dw);
    g->blocks = calloc(L, sizeof *g->blocks);
    if (!g->w || !g->dw || !g->blocks)
        goto short_of_memory;
    lay_out(g);
    if (arena_allocate(&g->arena))
        goto short_of_memory;
    lay_out(g);
    view(g->w, g->params, tensors);
    view(g->dw, g->grads, tensors);
    return 0;
short_of_memory:
    gpt_destroy(g);
    return -1;
}

/* Products with a transposed A, and sums over tokens, are gradients of weights. */
static size_t product_bytes(const struct gpt *g)
{
    const struct model_config *c = &g->tensors->config;
    const size_t widest = larger(4 * c->n_embd, c->padded_vocab_size);
    return g->use == GPT_INFER ? gemm_bytes(widest, c->n_embd, 4 * c->n_embd)
                               : gemm_bytes(widest, c->n_embd, larger(widest, g->max_rows));
}

/* An arena without memory only counts. */
size_t gpt_bytes(struct tensors *tensors, size_t max_rows, enum gpt_use use)
{
    struct gpt g = {.tensors = tensors, .use = use, .max_rows = max_rows};
    g.blocks = calloc(tensors->config.n_layer, sizeof *g.blocks);
    if (!g.blocks)
        return SIZE_MAX;
    lay_out(&g);
    free(g.blocks);
    size_t bytes;
    return __builtin_add_overflow(g.arena.used, product_bytes(&g), &bytes) ? SIZE_MAX : bytes;
}

void gpt_destroy(struct gpt *g)
{
    arena_free(&g->arena);
    tensors_destroy(g->tensors);
    free(g->w);
    free(g->dw);
    free(g->blocks);
    *g = (struct gpt){0};
}

/* Two standard normal numbers from four words, by Box and Muller's method: 53-bit uniforms in (0, 1]. */
static void two_normals(double out[2], const uint32_t c[4])
{
    const double u = (((uint64_t)c[0] << 21 ^ c[1] >> 11) + 1) * 0x1p-53,
                 v = ((uint64_t)c[2] << 21 ^ c[3] >> 11) * 0x1p-53;
    const double r = sqrt(-2 * log(u)), angle = 6.28318530717958647693 * v;
    out[0] = r * cos(angle);
    out[1] = r * sin(angle);
}

static void init_tensor(real *x, const struct tensor *t, uint32_t index, uint64_t seed)
{
    const size_t n = tensor_file_size(t); /* padding stays zero */
#pragma omp parallel for
    for (size_t i = 0; i < n; i += 2) {
        uint32_t c[4] = {(uint32_t)i, (uint32_t)((uint64_t)i >> 32), index,
                         0x696e6974}; /* "init": no dropout step is that late */
        philox4x32(c, (uint32_t)seed, (uint32_t)(seed >> 32));
        double z[2];
        two_normals(z, c);
        for (size_t k = 0; k < 2 && i + k < n; k++)
            x[i + k] = (real)(t->init_mean + t->init_std * z[k]);
    }
}

void gpt_init(struct gpt *g, uint64_t seed)
{
    for (size_t i = 0; i < g->tensors->count; i++)
        init_tensor(g->params + g->tensors->list[i].offset, &g->tensors->list[i], (uint32_t)i,
                    seed);
}

static void seen(struct gpt *g, enum gpt_part part, size_t layer)
{
    if (g->hook)
        g->hook->visit(g->hook, g, part, layer);
}

/* The input of block l: the embedding, or the block before. */
static const real *block_input(const struct gpt *g, size_t l)
{
    return l ? g->blocks[l - 1].out : g->embedded;
}

/* g->ln_f (B,T,C): all but the output layer. */
static void stream_forward(struct gpt *g, const uint32_t *inputs, size_t B, size_t T,
                           const struct dropout *d)
{
    const struct model_config *c = &g->tensors->config;
    const size_t N = B * T, C = c->n_embd, L = c->n_layer;
    ASSERT(N <= g->max_rows && T <= c->block_size);
    embedding_forward(g->embedded, inputs, g->w[0][WTE], g->w[0][WPE], 0, B, T, C);
    if (dropout_active(d))
        dropout_forward(g->embedded, g->embedded, N, T, C, d, DROP_EMBEDDING);
    seen(g, PART_EMBEDDING, 0);
    for (size_t l = 0; l < L; l++) {
        block_forward(&g->blocks[l], &g->scratch, block_input(g, l), g->start, g->w[l], B, T, c, d,
                      (uint32_t)l);
        seen(g, PART_BLOCK, l);
    }
    layernorm_forward(g->ln_f, g->ln_f_mean, g->ln_f_rstd, block_input(g, L), g->w[0][LN_F_WEIGHT],
                      g->w[0][LN_F_BIAS], N, C);
    seen(g, PART_LN_F, 0);
}

/* From dln_f back to the embeddings. */
static void stream_backward(struct gpt *g, const uint32_t *inputs, size_t B, size_t T,
                            const struct dropout *d)
{
    const struct model_config *c = &g->tensors->config;
    const size_t N = B * T, C = c->n_embd, L = c->n_layer;
    zero(g->dstream, N * C);
    layernorm_backward(g->dstream, g->dw[0][LN_F_WEIGHT], g->dw[0][LN_F_BIAS], g->dln_f,
                       block_input(g, L), g->ln_f_mean, g->ln_f_rstd, g->w[0][LN_F_WEIGHT], N, C);
    seen(g, PART_LN_F_BACKWARD, 0);
    for (size_t l = L; l-- > 0;) {
        if (g->use == GPT_TRAIN_RECOMPUTE_BLOCK &&
            l + 1 < L) /* the last block's activations are still there */
            block_recompute(&g->blocks[l], &g->scratch, block_input(g, l), g->start, g->w[l], B, T,
                            c, d, (uint32_t)l);
        block_backward(g->dstream, g->dw[l], &g->scratch, &g->blocks[l], block_input(g, l),
                       g->start, g->w[l], B, T, c, d, (uint32_t)l);
        seen(g, PART_BLOCK_BACKWARD, l);
    }
    const real *dembedded = g->dstream;
    if (dropout_active(d)) {
        zero(g->dln_f, N * C);
        dropout_backward(g->dln_f, g->dstream, N, T, C, d, DROP_EMBEDDING);
        dembedded = g->dln_f;
    }
    embedding_backward(g->dw[0][WTE], g->dw[0][WPE], dembedded, inputs, B, T, C);
    seen(g, PART_EMBEDDING_BACKWARD, 0);
}

void gpt_logits(struct gpt *g, real *logits, const uint32_t *inputs, size_t B, size_t T)
{
    const struct model_config *c = &g->tensors->config;
    stream_forward(g, inputs, B, T, NULL);
    gemm(N_, T_, B * T, c->vocab_size, c->n_embd, 1, g->ln_f, c->n_embd, g->w[0][WTE], c->n_embd, 0,
         logits, c->vocab_size);
}

/* Targets that are predicted. */
static size_t counted(const uint32_t *targets, size_t N)
{
    size_t count = 0;
    for (size_t n = 0; n < N; n++)
        count += targets[n] != NO_TARGET;
    return count;
}

/* The losses of all others are 0. */
static acc mean(const real *losses, const uint32_t *targets, size_t N)
{
    const size_t count = counted(targets, N);
    acc sum = 0;
    for (size_t n = 0; n < N; n++)
        sum += losses[n];
    return count ? sum / (double)count : 0;
}

acc gpt_loss(struct gpt *g, const uint32_t *inputs, const uint32_t *targets, size_t B, size_t T,
             const struct dropout *d)
{
    const struct model_config *c = &g->tensors->config;
    stream_forward(g, inputs, B, T, d);
    loss_forward(g->losses, g->logits, g->ln_f, g->w[0][WTE], targets, B * T, c->n_embd,
                 c->vocab_size, c->padded_vocab_size);
    seen(g, PART_LOSS, 0);
    return mean(g->losses, targets, B * T);
}

void gpt_backward(struct gpt *g, const uint32_t *inputs, const uint32_t *targets, size_t B,
                  size_t T, const struct dropout *d)
{
    const struct model_config *c = &g->tensors->config;
    const size_t N = B * T;
    stream_forward(g, inputs, B, T, d);
    zero(g->dln_f, N * c->n_embd);
    loss_backward(g->dln_f, g->dw[0][WTE], g->losses, g->logits, g->dlosses, g->ln_f, g->w[0][WTE],
                  targets, N, c->n_embd, c->vocab_size, c->padded_vocab_size);
    seen(g, PART_LOSS, 0);
    stream_backward(g, inputs, B, T, d);
}

acc gpt_loss_and_grads(struct gpt *g, const uint32_t *inputs, const uint32_t *targets, size_t B,
                       size_t T, double scale, const struct dropout *d)
{
    const size_t N = B * T, count = counted(targets, N);
    for (size_t n = 0; n < N; n++)
        g->dlosses[n] =
            targets[n] == NO_TARGET
                ? 0
                : (real)(scale / (double)count); /* the loss is the mean over the targets */
    gpt_backward(g, inputs, targets, B, T, d);
    return mean(g->losses, targets, N);
}
