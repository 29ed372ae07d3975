/* trainee.c: see trainee.h. */
#include "train/bench/trainee.h"
#include "model/zero.h"
#include "optim/adamw.h"
#include "optim/clip.h"
#include <stdlib.h>

int trainee_create(struct trainee *t, struct bench *b, size_t B, size_t T)
{
    const size_t N = B * T;
    *t = (struct trainee){.precision = b->precision, .B = B, .T = T};
    t->inputs = malloc(2 * N * sizeof *t->inputs);
    struct tensors *tensors = t->inputs ? tensors_create(&b->workload->config) : NULL;
    const size_t moments = tensors ? 2 * tensors->total : 0;
    arena_take(&t->moments, moments, sizeof *t->m);
    if (!tensors ||
        gpt_create(&t->model, tensors, N,
                   config_gpt_use(&(struct config){.train.recompute = b->recompute})) ||
        arena_allocate(&t->moments)) {
        trainee_destroy(t);
        return bench_no_memory(b, "model and optimiser");
    }
    t->m = arena_take(&t->moments, moments, sizeof *t->m);
    t->v = t->m + tensors->total;
    t->targets = t->inputs + N;
    bench_fill_ids(t->inputs, 2 * N, b->workload->config.vocab_size);
    gpt_init(&t->model, 1);
    return 0;
}

void trainee_destroy(struct trainee *t)
{
    gpt_destroy(&t->model);
    arena_free(&t->moments);
    free(t->inputs);
}

void trainee_zero_grads(void *trainee)
{
    struct trainee *t = trainee;
    zero(t->model.grads, t->model.tensors->total);
}

void trainee_grad_norm(void *trainee)
{
    struct trainee *t = trainee;
    t->norm = gradient_norm(t->model.grads, t->model.tensors);
}

void trainee_update(void *trainee)
{
    struct trainee *t = trainee;
    const struct adamw o = {0.9, 0.95, 1e-8, 0.1};
    adamw_update(t->model.params, t->m, t->v, t->model.grads, clip_factor(t->norm, 1),
                 t->model.tensors, &o, 1e-4, ++t->steps);
}

void trainee_step(void *trainee)
{
    struct trainee *t = trainee;
    trainee_zero_grads(t);
    const struct batch batch = {
        .inputs = t->inputs, .targets = t->targets, .weight = 1, .rows = t->B, .block_size = t->T};
    double loss[2];
    t->precision->model->loss_and_grads(loss, &t->model, &batch, NULL);
    trainee_grad_norm(t);
    trainee_update(t);
}
