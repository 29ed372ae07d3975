/* bench_code.c: see bench_code.h. Compiled for float and for bf16. */
#include "train/bench/bench_code.h"
#include "model/decode.h"
#include "model/gemm/gemm.h"
#include "model/real.h"
#include "model/zero.h"
#include "optim/adamw.h"
#include "optim/clip.h"
#include <stdlib.h>

static void product(enum gemm_backend library, const struct bench_shape *s, const void *A,
                    const void *B, void *C)
{
    gemm_on(library, s->transpose_a ? T_ : N_, s->transpose_b ? T_ : N_, s->M, s->N, s->K, 1, A,
            s->transpose_a ? s->M : s->K, B, s->transpose_b ? s->K : s->N, s->adds ? 1 : 0, C,
            s->N);
}

/* In [-1/2, 1/2), and without a pattern (Murmur3's finaliser): rows that resemble each other make logits so far apart that their
 * exponentials are denormal, which costs some processors a hundred times the arithmetic. */
static void fill(void *x, size_t n)
{
    real *y = x;
#pragma omp parallel for
    for (size_t i = 0; i < n; i++) {
        uint32_t h = (uint32_t)i;
        h = (h ^ h >> 16) * 0x85ebca6bu;
        h = (h ^ h >> 13) * 0xc2b2ae35u;
        y[i] = (real)((double)(h ^ h >> 16) * 0x1p-32 - 0.5);
    }
}

/* --- training --- */

struct trainee {
    struct gpt model;
    struct arena moments;
    real *m, *v;
    uint32_t *inputs, *targets;
    size_t B, T;
    uint64_t steps;
    double norm;
};

static void destroy(void *trainee)
{
    struct trainee *t = trainee;
    gpt_destroy(&t->model);
    arena_free(&t->moments);
    free(t->inputs);
    free(t);
}

static int allocate(struct trainee *t, const struct model_config *config, enum recompute recompute)
{
    const size_t N = t->B * t->T;
    struct tensors *tensors = tensors_create(config);
    t->inputs = malloc(2 * N * sizeof *t->inputs);
    if (!tensors || !t->inputs) {
        tensors_destroy(tensors);
        return -1;
    }
    if (gpt_create(&t->model, tensors, N,
                   config_gpt_use(&(struct config){.train.recompute = recompute})))
        return -1;
    for (int pass = 0; pass < 2; pass++) {
        if (pass && arena_allocate(&t->moments))
            return -1;
        t->m = arena_take(&t->moments, tensors->total, sizeof *t->m);
        t->v = arena_take(&t->moments, tensors->total, sizeof *t->v);
    }
    return 0;
}

static void *create(const struct model_config *config, size_t B, size_t T, enum recompute recompute)
{
    struct trainee *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->B = B, t->T = T;
    if (allocate(t, config, recompute)) {
        destroy(t);
        return NULL;
    }
    t->targets = t->inputs + B * T;
    for (size_t i = 0; i < 2 * B * T; i++)
        t->inputs[i] = (uint32_t)(i * 2654435761u % config->vocab_size);
    gpt_init(&t->model, 1);
    return t;
}

static const struct tensors *tensors_of(const void *trainee)
{
    return ((const struct trainee *)trainee)->model.tensors;
}

static void zero_grads(void *trainee)
{
    struct trainee *t = trainee;
    zero(t->model.grads, t->model.tensors->total);
}

static void grad_norm(void *trainee)
{
    struct trainee *t = trainee;
    t->norm = gradient_norm(t->model.grads, t->model.tensors);
}

static void update(void *trainee)
{
    struct trainee *t = trainee;
    const struct adamw o = {0.9, 0.95, 1e-8, 0.1};
    adamw_update(t->model.params, t->m, t->v, t->model.grads, clip_factor(t->norm, 1),
                 t->model.tensors, &o, 1e-4, ++t->steps);
}

/* What train/trainer.c does in a step of one micro-batch. */
static void step_on(struct trainee *t, size_t B, size_t T)
{
    zero_grads(t);
    const struct batch batch = {
        .inputs = t->inputs, .targets = t->targets, .weight = 1, .rows = B, .block_size = T};
    gpt_loss_and_grads(&t->model, &batch, NULL);
    grad_norm(t);
    update(t);
}

static void step(void *trainee)
{
    struct trainee *t = trainee;
    step_on(t, t->B, t->T);
}

static void short_step(void *trainee)
{
    enum { SHORT = 64 };
    struct trainee *t = trainee;
    step_on(t, 1, t->T < SHORT ? t->T : SHORT);
}

/* --- decoding --- */

struct writer {
    struct gpt model;
    struct decoder decoder;
    uint32_t *ids;
    real *logits;
};

static void writer_destroy(void *writer)
{
    struct writer *w = writer;
    decoder_destroy(&w->decoder);
    gpt_destroy(&w->model);
    free(w->ids);
    free(w->logits);
    free(w);
}

static void *writer_create(const struct model_config *config, size_t texts, size_t max_rows)
{
    struct writer *w = calloc(1, sizeof *w);
    struct tensors *tensors = tensors_create(config);
    if (!w || !tensors || gpt_create(&w->model, tensors, 1, GPT_INFER)) {
        if (!w)
            tensors_destroy(tensors);
        free(w);
        return NULL;
    }
    w->ids = calloc(texts * max_rows, sizeof *w->ids);
    w->logits = calloc(texts, config->vocab_size * sizeof *w->logits);
    if (!w->ids || !w->logits || decoder_create(&w->decoder, &w->model, texts, texts * max_rows)) {
        writer_destroy(w);
        return NULL;
    }
    gpt_init(&w->model, 1);
    return w;
}

static const struct tensors *writer_tensors(const void *writer)
{
    return ((const struct writer *)writer)->model.tensors;
}

static void writer_forward(void *writer, size_t n)
{
    struct writer *w = writer;
    decoder_forward(&w->decoder, w->logits, w->ids, n);
}

#ifdef REAL_BF16
#define PRECISION "bf16"
#else
#define PRECISION "f32"
#endif

const struct bench_code NAME(bench_code) = {.precision = PRECISION,
                                            .element = sizeof(real),
                                            .ops = NAME(op_code),
                                            .product = product,
                                            .fill = fill,
                                            .create = create,
                                            .destroy = destroy,
                                            .tensors = tensors_of,
                                            .short_step = short_step,
                                            .step = step,
                                            .zero_grads = zero_grads,
                                            .grad_norm = grad_norm,
                                            .update = update,
                                            .writer_create = writer_create,
                                            .writer_destroy = writer_destroy,
                                            .writer_tensors = writer_tensors,
                                            .writer_forward = writer_forward};
