/* trainee.h: a model, its optimiser and one batch of random tokens: a training step and its
 * parts. */
#pragma once

#include "base/arena.h"
#include "train/bench/bench.h"

struct trainee {
    const struct bench_precision *precision;
    struct gpt model;
    struct arena moments;
    float *m, *v;
    uint32_t *inputs, *targets;
    size_t B, T;
    uint64_t steps;
    double norm;
};

/* For a batch (B,T). Returns -1 and fills in b->err if memory is short. */
int trainee_create(struct trainee *t, struct bench *b, size_t B, size_t T);
void trainee_destroy(struct trainee *t);

/* A step as the trainer takes it, and its passes over all parameters, for time_runs. */
void trainee_step(void *trainee);
void trainee_zero_grads(void *trainee);
void trainee_grad_norm(void *trainee);
void trainee_update(void *trainee);
