/* trainer.c: what a run is made of, and one step of it. The loop around the steps is in run.c. */
#include "trainer.h"
#include "../model/zero.h"
#include "../optim/clip.h"
#include "log.h"
#include "passes.h"
#include "peak.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The tokenizer of the data, and a table of tensors for it. */
static struct tensors *open_tokenizer(struct trainer *t, struct error *err)
{
    char path[CONFIG_PATH_MAX + 16];
    struct model_config sizes;
    if (!t->config.data.dir[0]) {
        fail(err, "data.dir is not set: expected the folder that `handgrad tokenize` wrote");
        return NULL;
    }
    snprintf(path, sizeof path, "%s/tokenizer.h5", t->config.data.dir);
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
    if (gpt_create(&t->model, tensors, rows, gpt_use_of(t->config.train.recompute)))
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

/* What the training data is, before the loader opens it for good. */
static int identify_data(struct trainer *t, struct error *err)
{
    struct split *s = split_open(t->config.data.dir, "train", err);
    if (!s)
        return -1;
    snprintf(t->data_fingerprint, sizeof t->data_fingerprint, "%s", split_fingerprint(s));
    split_close(s);
    return 0;
}

int trainer_create(struct trainer *t, const struct config *config, struct error *err)
{
    *t = (struct trainer){.config = *config};
    t->state.val_loss = t->state.best_val_loss = t->state.smoothed_loss = NAN;
    t->metrics.val_loss = NAN;
    struct tensors *tensors = open_tokenizer(t, err);
    if (!tensors || allocate(t, tensors, err) || identify_data(t, err)) {
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
    gpt_destroy(&t->model);
    arena_free(&t->moments);
    tokenizer_destroy(t->tokenizer);
    *t = (struct trainer){0};
}

/* Reads groups of a checkpoint into the run's arrays. */
static int read_arrays(struct trainer *t, struct checkpoint_file *f, bool all, bool grads, struct error *err)
{
    if (checkpoint_read(f, "params", t->model.params, err))
        return -1;
    if (all && (checkpoint_read(f, "adamw/m", t->m, err) || checkpoint_read(f, "adamw/v", t->v, err)))
        return -1;
    return grads ? checkpoint_read(f, "grads", t->model.grads, err) : 0;
}

static int check_tokenizer(const struct trainer *t, const struct checkpoint *c, const char *path, struct error *err)
{
    if (c->tokenizer && strcmp(tokenizer_fingerprint(c->tokenizer), tokenizer_fingerprint(t->tokenizer)) != 0)
        return fail(err, "%s: its tokenizer (%s, %zu symbols) is not that of %s (%s, %zu symbols)", path,
                    tokenizer_kind(c->tokenizer), tokenizer_vocab_size(c->tokenizer), t->config.data.dir,
                    tokenizer_kind(t->tokenizer), tokenizer_vocab_size(t->tokenizer));
    return 0;
}

int trainer_load_weights(struct trainer *t, const char *path, struct error *err)
{
    struct checkpoint c;
    struct checkpoint_file *f = checkpoint_open(path, &c, err);
    if (!f)
        return -1;
    int status = -1;
    if (checkpoint_fits(&c, t->model.tensors, path, err) == 0 && check_tokenizer(t, &c, path, err) == 0)
        status = read_arrays(t, f, false, false, err);
    checkpoint_close(f);
    return status;
}

/* Batches of another size, order or seed cannot complete a step that has begun. */
static int check_accumulation(const struct trainer *t, const struct checkpoint *c, const char *path, struct error *err)
{
    const struct config *now = &t->config, *then = &c->config;
    if (c->state.micro && (now->train.batch_size != then->train.batch_size || now->train.accumulate != then->train.accumulate ||
                           now->train.seed != then->train.seed || now->data.order != then->data.order))
        return fail(err,
                    "%s: stopped after %llu of %llu micro-batches of a step: batch_size, accumulate, seed and order must stay",
                    path, (unsigned long long)c->state.micro, (unsigned long long)then->train.accumulate);
    return 0;
}

static int check_resume(const struct trainer *t, const struct checkpoint *c, const char *path, struct error *err)
{
    if (checkpoint_fits(c, t->model.tensors, path, err) || check_tokenizer(t, c, path, err) ||
        check_accumulation(t, c, path, err))
        return -1;
    if (t->config.model.gelu != c->config.model.gelu || t->config.model.n_head != c->config.model.n_head)
        return fail(err, "%s: model.n_head or model.gelu is not that of the configuration", path);
    if (c->data_fingerprint[0] && strcmp(c->data_fingerprint, t->data_fingerprint) != 0)
        return fail(err, "%s: was trained on other data (%.12s…) than %s holds (%.12s…)", path, c->data_fingerprint,
                    t->config.data.dir, t->data_fingerprint);
    return 0;
}

int trainer_resume(struct trainer *t, const char *path, struct error *err)
{
    struct checkpoint c;
    struct checkpoint_file *f = checkpoint_open(path, &c, err);
    if (!f)
        return -1;
    int status = check_resume(t, &c, path, err);
    if (status == 0)
        status = read_arrays(t, f, true, c.state.micro > 0, err);
    if (status == 0) {
        char differences[512];
        if (config_diff(&c.config, &t->config, differences, sizeof differences))
            printf("changed since %s: %s\n", path, differences);
        t->state = c.state;
        snprintf(t->last_checkpoint, sizeof t->last_checkpoint, "%s", path);
    }
    checkpoint_close(f);
    return status;
}

int trainer_save(struct trainer *t, const char *path, struct error *err)
{
    struct checkpoint c = {.config = t->config,
                           .state = t->state,
                           .tokenizer = t->tokenizer,
                           .tensors = t->model.tensors,
                           .params = t->model.params,
                           .m = t->m,
                           .v = t->v,
                           .grads = t->state.micro ? t->model.grads : NULL};
    snprintf(c.data_fingerprint, sizeof c.data_fingerprint, "%s", t->data_fingerprint);
    return checkpoint_write(&c, path, err);
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
    t->peak = products_peak(c->train.precision == PRECISION_BF16);
    t->started = seconds();
    return 0;
}

/* The line for a loss or a norm that is not finite. */
static int not_finite(const struct trainer *t, const char *what, double value, struct error *err)
{
    return fail(err, "step %llu: %s is %g; weights are those of the step before; last checkpoint: %s",
                (unsigned long long)t->state.step + 1, what, value, t->last_checkpoint[0] ? t->last_checkpoint : "none yet");
}

/* Advances the state past a finished step and measures it. */
static void close_step(struct trainer *t, double lr, double norm)
{
    const struct config *c = &t->config;
    const double loss = t->state.micro_loss / (double)c->train.accumulate;
    const double kept = 0.95; /* of the smoothed loss, each step */
    t->state.smoothed_loss = isnan(t->state.smoothed_loss) ? loss : kept * t->state.smoothed_loss + (1 - kept) * loss;
    t->state.step++;
    t->state.micro = 0;
    t->state.micro_loss = 0;
    const uint64_t rows = c->train.batch_size * c->train.accumulate, tokens = rows * c->model.block_size;
    const double time = seconds() - t->started;
    t->metrics = (struct step_metrics){
        .step = t->state.step,
        .tokens = t->state.step * tokens,
        .loss = loss,
        .smoothed_loss = t->state.smoothed_loss,
        .lr = lr,
        .grad_norm = norm,
        .tokens_per_s = (double)tokens / time,
        .mfu = step_flops(&t->model.tensors->config, rows, c->model.block_size) / time / t->peak,
        .val_loss = NAN,
    };
}

/* Clips, updates, and closes the step. */
static int update(struct trainer *t, struct error *err)
{
    const struct config *c = &t->config;
    const struct tensors *tensors = t->model.tensors;
    const struct schedule schedule = config_schedule(c);
    const struct adamw adamw = {c->optim.beta1, c->optim.beta2, c->optim.eps, c->optim.weight_decay};
    const double norm = gradient_norm(t->model.grads, tensors), lr = schedule_lr(&schedule, t->state.step);
    if (!isfinite(norm))
        return not_finite(t, "grad_norm", norm, err);
    adamw_update(t->model.params, t->m, t->v, t->model.grads, clip_factor(norm, c->optim.clip), tensors, &adamw, lr,
                 t->state.step + 1);

    close_step(t, lr, norm);
    return 0;
}

int trainer_micro_step(struct trainer *t, struct error *err)
{
    const struct config *c = &t->config;
    struct gpt *g = &t->model;
    const uint32_t *inputs, *targets;
    if (loader_batch(t->loader, t->state.step, t->state.micro, &inputs, &targets, err))
        return -1;
    if (t->state.micro == 0) {
        t->started = seconds();
        zero(g->grads, g->tensors->total);
    }
    const struct dropout dropout = {
        .p = c->model.dropout, .seed = c->train.seed, .step = t->state.step, .first_row = t->state.micro * c->train.batch_size};
    const double loss = passes_of(c)->loss_and_grads(g, inputs, targets, c->train.batch_size, c->model.block_size,
                                                     1 / (double)c->train.accumulate, &dropout);
    if (!isfinite(loss))
        return not_finite(t, "loss", loss, err);
    t->state.micro_loss += loss;
    t->state.micro++;
    return t->state.micro == c->train.accumulate ? update(t, err) : 0;
}
