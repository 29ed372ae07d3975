/* trainer.c: what a run is made of, and one step of it. The loop around the steps is in run.c. */
#include "trainer.h"
#include "../optim/clip.h"
#include "peak.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The tokenizer of the data, and a table of tensors for it. */
static struct tensors *open_tokenizer(struct trainer *t, struct error *err)
{
    char path[CONFIG_PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/tokenizer.h5", t->config.data.dir);
    struct model_config sizes;
    t->tokenizer = tokenizer_load(path, err);
    if (!t->tokenizer || config_model(&t->config, tokenizer_vocab_size(t->tokenizer), &sizes, "configuration", err))
        return NULL;
    struct tensors *tensors = tensors_create(&sizes);
    if (!tensors)
        fail(err, "no memory for the table of tensors");
    return tensors;
}

static int allocate(struct trainer *t, struct tensors *tensors, struct error *err)
{
    const size_t rows = t->config.train.batch_size * t->config.model.block_size;
    if (gpt_create(&t->model, tensors, rows, GPT_TRAIN))
        return fail(err, "no memory for a model of these sizes at batch_size %llu",
                    (unsigned long long)t->config.train.batch_size);
    for (int pass = 0; pass < 2; pass++) {
        if (pass && arena_allocate(&t->moments))
            return fail(err, "no memory for the optimiser's moments");
        t->m = arena_take(&t->moments, t->model.tensors->total, sizeof(real));
        t->v = arena_take(&t->moments, t->model.tensors->total, sizeof(real));
    }
    return 0;
}

/* The validation split, where there is one that has something to predict. */
static int open_validation(struct trainer *t, struct error *err)
{
    struct error missing;
    t->val = split_open(t->config.data.dir, "val", &missing);
    if (!t->val && split_exists(t->config.data.dir, "val"))
        return fail(err, "%s", missing.text);
    return 0;
}

int trainer_create(struct trainer *t, const struct config *config, struct error *err)
{
    *t = (struct trainer){.config = *config};
    t->state.val_loss = t->state.best_val_loss = t->state.smoothed_loss = NAN;
    t->metrics.val_loss = NAN;
    struct tensors *tensors = open_tokenizer(t, err);
    if (!tensors || allocate(t, tensors, err) || open_validation(t, err)) {
        trainer_destroy(t);
        return -1;
    }
    gpt_init(&t->model, t->config.train.seed);
    return 0;
}

void trainer_destroy(struct trainer *t)
{
    if (t->loader)
        loader_close(t->loader);
    if (t->val)
        split_close(t->val);
    gpt_destroy(&t->model);
    arena_free(&t->moments);
    tokenizer_destroy(t->tokenizer);
    *t = (struct trainer){0};
}

int trainer_start(struct trainer *t, struct error *err)
{
    const struct config *c = &t->config;
    t->loader = loader_open(&(struct loader_config){.dir = c->data.dir,
                                                    .split = "train",
                                                    .order = (enum order)c->data.order,
                                                    .seed = c->train.seed,
                                                    .rows = c->train.batch_size,
                                                    .accumulate = c->train.accumulate,
                                                    .block_size = c->model.block_size,
                                                    .first_step = t->state.step,
                                                    .first_micro = t->state.micro},
                            err);
    if (!t->loader)
        return -1;
    t->peak = product_rate();
    t->step_started = seconds();
    return 0;
}

/* The line for a loss or a norm that is not finite. */
static int not_finite(const struct trainer *t, const char *what, double value, struct error *err)
{
    return fail(err, "step %llu: %s is %g; weights are those of the step before; last checkpoint: %s",
                (unsigned long long)t->state.step + 1, what, value, t->last_checkpoint[0] ? t->last_checkpoint : "none yet");
}

/* Clips, updates, and closes the step. */
static int update(struct trainer *t, struct error *err)
{
    const struct config *c = &t->config;
    const struct tensors *tensors = t->model.tensors;
    const struct schedule schedule = config_schedule(c);
    const struct adamw adamw = {c->optim.beta1, c->optim.beta2, c->optim.eps, c->optim.weight_decay};
    const double norm = grad_norm(t->model.grads, tensors), lr = schedule_lr(&schedule, t->state.step);
    if (!isfinite(norm))
        return not_finite(t, "grad_norm", norm, err);
    adamw_update(t->model.params, t->m, t->v, t->model.grads, clip_factor(norm, c->optim.clip), tensors, &adamw, lr,
                 t->state.step + 1);

    const double loss = t->state.micro_loss / (double)c->train.accumulate;
    const double kept = 0.95; /* of the smoothed loss, each step */
    t->state.smoothed_loss = isnan(t->state.smoothed_loss) ? loss : kept * t->state.smoothed_loss + (1 - kept) * loss;
    t->state.step++;
    t->state.micro = 0;
    t->state.micro_loss = 0;
    const double tokens = (double)c->train.batch_size * (double)c->train.accumulate * (double)c->model.block_size;
    const double time = t->step_seconds;
    t->metrics = (struct step_metrics){
        .step = t->state.step,
        .tokens = t->state.step * c->train.batch_size * c->train.accumulate * c->model.block_size,
        .loss = loss,
        .smoothed_loss = t->state.smoothed_loss,
        .lr = lr,
        .grad_norm = norm,
        .tokens_per_s = tokens / time,
        .mfu = step_flops(&tensors->config, c->train.batch_size * c->train.accumulate, c->model.block_size) / time / t->peak,
        .val_loss = NAN,
    };
    return 0;
}

int trainer_micro_step(struct trainer *t, struct error *err)
{
    const struct config *c = &t->config;
    struct gpt *g = &t->model;
    const uint32_t *inputs, *targets;
    if (loader_batch(t->loader, t->state.step, t->state.micro, &inputs, &targets, err))
        return -1;
    if (t->state.micro == 0)
        gpt_zero_grads(g);
    const struct dropout dropout = {.p = c->model.dropout,
                                    .seed = c->train.seed,
                                    .step = t->state.step,
                                    .first_row = t->state.micro * c->train.batch_size};
    const double loss = gpt_loss_and_grads(g, inputs, targets, c->train.batch_size, c->model.block_size,
                                           1 / (double)c->train.accumulate, &dropout);
    if (!isfinite(loss))
        return not_finite(t, "loss", loss, err);
    t->state.micro_loss += loss;
    t->state.micro++;
    return 0;
}
