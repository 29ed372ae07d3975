/* gpt.c: the model: embeddings, a stack of blocks, a final LayerNorm, the tied output layer and its
 * loss.
 *
 * The forward keeps each block's activations, or a part of them (enum gpt_use). The backward
 * processes the blocks from last to first with one array, dstream, that holds the gradient of the
 * residual stream at the current point.
 *
 * Step by step: docs/derivations.md#the-whole-model
 */
#include "model/gpt.h"
#include "base/minmax.h"
#include "model/embedding.h"
#include "model/gemm/gemm.h"
#include "model/layernorm.h"
#include "model/loss.h"
#include "model/philox.h"
#include "model/real.h"
#include "model/zero.h"
#include <stdlib.h>

/* A block's activations. All layers share those that are not kept until the backward. */
static void lay_out_block(struct gpt *g, size_t layer)
{
    struct arena *m = &g->arena;
    const struct model_config *c = &g->tensors->config;
    const size_t N = g->max_rows;
    struct block_activations *a = &g->blocks[layer];
    const bool keeps = g->use == GPT_TRAIN || g->use == GPT_TRAIN_RECOMPUTE_GELU;
    if (layer > 0)
        *a = g->blocks[0];
    if (layer == 0 || keeps) {
        block_take_activations(a, m, c, N);
        a->act = g->use == GPT_TRAIN ? arena_take(m, N * model_dim(c, 'F'), sizeof(real)) : NULL;
    }
    if (layer == 0 || g->use != GPT_INFER)
        a->out = arena_take(m, N * c->n_embd, sizeof(real));
    a->ln_1 = a->ln_2 = g->ln_f;
}

/* Takes every array of the model from the arena; called twice: see arena.h. */
static void lay_out(struct gpt *g)
{
    struct arena *m = &g->arena;
    const struct model_config *c = &g->tensors->config;
    const size_t N = g->max_rows, C = c->n_embd, P = c->padded_vocab_size,
                 hidden = block_mlp_rows(N) * model_dim(c, 'F');
    const bool train = g->use != GPT_INFER;
    const size_t dproj = train ? size_max(N * model_dim(c, 'Q'), hidden) : 0;
    g->params = arena_take(m, g->tensors->total, sizeof(real));
    g->grads = train ? arena_take(m, g->tensors->total, sizeof(real)) : NULL;
    g->embedded = arena_take(m, N * C, sizeof(real));
    g->ln_f = arena_take(m, N * C, sizeof(real)); /* the output of every LayerNorm */
    for (size_t l = 0; l < c->n_layer; l++)
        lay_out_block(g, l);
    g->scratch.branch = arena_take(m, N * C, sizeof(real));
    g->scratch.act = g->use == GPT_TRAIN ? NULL : arena_take(m, hidden, sizeof(real));
    g->scratch.dproj = arena_take(m, size_max(dproj, loss_chunk(N, P) * P), sizeof(real));
    g->scratch.dact = train ? arena_take(m, hidden, sizeof(real)) : NULL;
    g->scratch.dnorm = train ? arena_take(m, N * C, sizeof(real)) : NULL;
    g->ln_f_mean = arena_take(m, N, sizeof(real));
    g->ln_f_rstd = arena_take(m, N, sizeof(real));
    g->losses = arena_take(m, N, sizeof(real));
    g->logits = g->scratch.dproj;
    g->dlosses = train ? arena_take(m, N, sizeof(real)) : NULL;
    g->dstream = train ? arena_take(m, N * C, sizeof(real)) : NULL;
    g->dln_f = g->scratch.dnorm;
}

/* Fills in the pointers of every layer into a parameter array. */
static void set_pointers(real *(*w)[TENSOR_KINDS], real *array, const struct tensors *t)
{
    for (size_t l = 0; l < t->config.n_layer; l++)
        for (int k = 0; k < TENSOR_KINDS; k++) {
            const struct tensor *tensor = tensors_find(t, k, l);
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
    set_pointers(g->w, g->params, tensors);
    set_pointers(g->dw, g->grads, tensors);
    return 0;
short_of_memory:
    gpt_destroy(g);
    return -1;
}

/* The most memory that matrix products keep. The longest sums, over tokens, are in gradients of
 * weights. */
static size_t product_bytes(const struct gpt *g)
{
    const struct model_config *c = &g->tensors->config;
    const size_t F = model_dim(c, 'F'), widest = size_max(F, c->padded_vocab_size);
    return gemm_bytes(widest, c->n_embd, g->use == GPT_INFER ? F : size_max(widest, g->max_rows));
}

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

/* Two standard normal numbers from four words, by the method of Box and Muller (1958), with 53-bit
 * uniform numbers in (0, 1]. */
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
        /* The last word, "init", is a step number that dropout never reaches. */
        uint32_t c[4] = {(uint32_t)i, (uint32_t)((uint64_t)i >> 32), index, 0x696e6974};
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

static void end_stage(struct gpt *g, enum gpt_stage stage, size_t layer)
{
    if (g->hook)
        g->hook->visit(g->hook, g, stage, layer);
}

/* The input of block l: the embedding, or the output of the block before. */
static const real *block_input(const struct gpt *g, size_t l)
{
    return l ? g->blocks[l - 1].out : g->embedded;
}

/* Everything but the output layer; writes g->ln_f (B,T,C). */
static void stream_forward(struct gpt *g, const struct batch *b, const struct dropout *d)
{
    const struct model_config *c = &g->tensors->config;
    const size_t B = b->rows, T = b->block_size, N = B * T, C = c->n_embd, L = c->n_layer;
    ASSERT(N <= g->max_rows && T <= c->block_size);
    embedding_forward(g->embedded, b->inputs, g->w[0][WTE], g->w[0][WPE], 0, B, T, C);
    if (dropout_active(d))
        dropout_forward(g->embedded, g->embedded, N, T, C, d, DROP_EMBEDDING);
    end_stage(g, STAGE_EMBEDDING, 0);
    for (size_t l = 0; l < L; l++) {
        block_forward(&g->blocks[l], &g->scratch, block_input(g, l), b->start, g->w[l], B, T, c, d,
                      (uint32_t)l);
        end_stage(g, STAGE_BLOCK, l);
    }
    layernorm_forward(g->ln_f, g->ln_f_mean, g->ln_f_rstd, block_input(g, L), g->w[0][LN_F_WEIGHT],
                      g->w[0][LN_F_BIAS], N, C);
    end_stage(g, STAGE_LN_F, 0);
}

/* From dln_f back to the embeddings. */
static void stream_backward(struct gpt *g, const struct batch *b, const struct dropout *d)
{
    const struct model_config *c = &g->tensors->config;
    const size_t B = b->rows, T = b->block_size, N = B * T, C = c->n_embd, L = c->n_layer;
    zero(g->dstream, N * C);
    layernorm_backward(g->dstream, g->dw[0][LN_F_WEIGHT], g->dw[0][LN_F_BIAS], g->dln_f,
                       block_input(g, L), g->ln_f_mean, g->ln_f_rstd, g->w[0][LN_F_WEIGHT], N, C);
    end_stage(g, STAGE_LN_F_BACKWARD, 0);
    for (size_t l = L; l-- > 0;) {
        /* The last block's activations are still in memory. */
        if (g->use == GPT_TRAIN_RECOMPUTE_BLOCK && l + 1 < L)
            block_recompute(&g->blocks[l], &g->scratch, block_input(g, l), b->start, g->w[l], B, T,
                            c, d, (uint32_t)l);
        block_backward(g->dstream, g->dw[l], &g->scratch, &g->blocks[l], block_input(g, l),
                       b->start, g->w[l], B, T, c, d, (uint32_t)l);
        end_stage(g, STAGE_BLOCK_BACKWARD, l);
    }
    const real *dembedded = g->dstream;
    if (dropout_active(d)) {
        zero(g->dln_f, N * C);
        dropout_backward(g->dln_f, g->dstream, N, T, C, d, DROP_EMBEDDING);
        dembedded = g->dln_f;
    }
    embedding_backward(g->dw[0][WTE], g->dw[0][WPE], dembedded, b->inputs, B, T, C);
    end_stage(g, STAGE_EMBEDDING_BACKWARD, 0);
}

void gpt_logits(struct gpt *g, real *logits, const struct batch *b)
{
    const struct model_config *c = &g->tensors->config;
    stream_forward(g, b, NULL);
    gemm(N_, T_, b->rows * b->block_size, c->vocab_size, c->n_embd, 1, g->ln_f, c->n_embd,
         g->w[0][WTE], c->n_embd, 0, logits, c->vocab_size);
}

/* Targets that are predicted. */
static size_t count_targets(const struct batch *b)
{
    size_t count = 0;
    for (size_t n = 0; n < b->rows * b->block_size; n++)
        count += b->targets[n] != NO_TARGET;
    return count;
}

/* Tokens without a target have a loss of 0. */
static acc mean_loss(const struct gpt *g, const struct batch *b)
{
    const size_t count = count_targets(b);
    acc sum = 0;
    for (size_t n = 0; n < b->rows * b->block_size; n++)
        sum += g->losses[n];
    return count ? sum / (double)count : 0;
}

acc gpt_loss(struct gpt *g, const struct batch *b, const struct dropout *d)
{
    const struct model_config *c = &g->tensors->config;
    stream_forward(g, b, d);
    loss_forward(g->losses, g->logits, g->ln_f, g->w[0][WTE], b->targets, b->rows * b->block_size,
                 c->n_embd, c->vocab_size, c->padded_vocab_size);
    end_stage(g, STAGE_LOSS, 0);
    return mean_loss(g, b);
}

void gpt_backward(struct gpt *g, const struct batch *b, const struct dropout *d)
{
    const struct model_config *c = &g->tensors->config;
    const size_t N = b->rows * b->block_size;
    stream_forward(g, b, d);
    zero(g->dln_f, N * c->n_embd);
    loss_backward(g->dln_f, g->dw[0][WTE], g->losses, g->logits, g->dlosses, g->ln_f, g->w[0][WTE],
                  b->targets, N, c->n_embd, c->vocab_size, c->padded_vocab_size);
    end_stage(g, STAGE_LOSS, 0);
    stream_backward(g, b, d);
}

acc gpt_loss_and_grads(struct gpt *g, const struct batch *b, const struct dropout *d)
{
    const double share = b->weight / (double)count_targets(b); /* the loss is their mean */
    for (size_t n = 0; n < b->rows * b->block_size; n++)
        g->dlosses[n] = b->targets[n] == NO_TARGET ? 0 : (real)share;
    gpt_backward(g, b, d);
    return mean_loss(g, b);
}
