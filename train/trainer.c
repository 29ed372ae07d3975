/* trainer.c: what a run is made of, and one step of it. The loop around the steps is in run.c. */
#include "train/trainer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "model/zero.h"
#include "optim/clip.h"
#include "train/log.h"
#include "train/nonfinite.h"
#include "train/peak.h"
#include "train/resume.h"
#include <float.h>
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
    if (!t->tokenizer ||
        config_model(&t->config, t->tokenizer->vocab_size, &sizes, "configuration", err))
        return NULL;
    struct tensors *tensors = tensors_create(&sizes);
    if (!tensors)
        fail(err, "no memory for the table of tensors");
    return tensors;
}

/* What is allocated for the whole run, and whether it fits. */
static int check_memory(struct trainer *t, struct tensors *tensors, size_t rows, struct error *err)
{
    enum { MOMENTS = 2 };
    char need[24], have[24];
    const size_t model = gpt_bytes(tensors, rows, config_gpt_use(&t->config)),
                 batches =
                     loader_bytes(rows, t->config.model.block_size, t->config.data.mask_documents);
    t->available = memory_available();
    if (__builtin_add_overflow(model, MOMENTS * tensors->total * sizeof(real), &t->needs) ||
        __builtin_add_overflow(t->needs, batches, &t->needs))
        t->needs = SIZE_MAX;
    if (t->needs <= t->available)
        return 0;
    return fail(err, "batch_size %llu of %llu tokens: needs %s of memory, %s are free",
                (unsigned long long)t->config.train.batch_size,
                (unsigned long long)t->config.model.block_size, memory_text(t->needs, need),
                memory_text(t->available, have));
}

static int allocate(struct trainer *t, struct tensors *tensors, struct error *err)
{
    const size_t rows = t->config.train.batch_size * t->config.model.block_size;
    if (check_memory(t, tensors, rows, err)) {
        tensors_destroy(tensors);
        return -1;
    }
    if (gpt_create(&t->model, tensors, rows, config_gpt_use(&t->config)))
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
    snprintf(t->data_fingerprint, sizeof t->data_fingerprint, "%s", s->fingerprint);
    split_close(s);
    return 0;
}

int trainer_create(struct trainer *t, const struct config *config, struct error *err)
{
    *t = (struct trainer){.config = *config};
    t->state.val_loss = t->state.best_val_loss = t->state.smoothed_loss = NAN;
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
static int read_arrays(struct trainer *t, struct checkpoint_file *f, bool all, bool grads,
                       struct error *err)
{
    if (checkpoint_read(f, "params", t->model.params, err))
        return -1;
    if (all &&
        (checkpoint_read(f, "adamw/m", t->m, err) || checkpoint_read(f, "adamw/v", t->v, err)))
        return -1;
    return grads ? checkpoint_read(f, "grads", t->model.grads, err) : 0;
}

int trainer_load_weights(struct trainer *t, const char *path, struct error *err)
{
    struct checkpoint c;
    struct checkpoint_file *f = checkpoint_open(path, &c, err);
    if (!f)
        return -1;
    int status = -1;
    if (checkpoint_fits(&c, t->model.tensors, path, err) == 0 &&
        check_tokenizer(t, &c, path, err) == 0)
        status = read_arrays(t, f, false, false, err);
    checkpoint_close(f);
    return status;
}

int trainer_resume(struct trainer *t, const char *path, const struct allowed *allowed,
                   struct error *err)
{
    struct checkpoint c;
    struct checkpoint_file *f = checkpoint_open(path, &c, err);
    if (!f)
        return -1;
    int status = check_resume(t, &c, allowed, path, err);
    if (status == 0)
        status = read_arrays(t, f, true, c.state.micro > 0, err);
    if (status == 0) {
        char differences[512];
        const size_t n = config_diff(&c.config, &t->config, differences, sizeof differences);
        if (n)
            printf("changed since %s: %s\n", path, differences);
        t->changed = n || strcmp(c.data_fingerprint, t->data_fingerprint) != 0;
        t->state = c.state;
        snprintf(t->last_checkpoint, sizeof t->last_checkpoint, "%s", path);
    }
    checkpoint_close(f);
    return status;
}

/* Counts go on, and so does the best: best.h5 is on the disk. */
static void go_back(struct trainer *t, const struct train_state *then)
{
    const struct train_state now = t->state;
    t->state = *then;
    t->state.best_val_loss = now.best_val_loss;
    t->state.best_step = now.best_step;
    t->state.skipped = now.skipped;
    t->state.spikes = now.spikes;
    t->state.rollbacks = now.rollbacks + 1;
    t->state.rolled_back_from = now.step;
    t->state.rolled_back_to = then->step;
    t->state.batch_shift = now.step + now.batch_shift - then->step;
}

/* Where a step begins, or this process goes on with the rest of one. */
static void start_clock(struct trainer *t)
{
    t->started = seconds();
    t->began_at = t->state.micro;
}

int trainer_roll_back(struct trainer *t, const char *path, struct error *err)
{
    struct checkpoint c;
    struct checkpoint_file *f = checkpoint_open(path, &c, err);
    if (!f)
        return -1;
    int status = checkpoint_fits(&c, t->model.tensors, path, err);
    if (status == 0 && c.state.rollbacks < t->state.rollbacks)
        status = fail(err, "step %llu: %s, also after going back to %s",
                      (unsigned long long)t->state.step, t->fault, path);
    if (status == 0)
        status = read_arrays(t, f, true, c.state.micro > 0, err);
    if (status == 0) {
        go_back(t, &c.state);
        start_clock(t);
    }
    checkpoint_close(f);
    return status;
}

struct checkpoint trainer_checkpoint(const struct trainer *t)
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
    return c;
}

int trainer_save(const struct trainer *t, const char *path, struct error *err)
{
    const struct checkpoint c = trainer_checkpoint(t);
    return checkpoint_write(&c, path, err);
}

/* Which batches the step in hand reads. Dropout's numbers belong to them. */
static uint64_t batch_step(const struct trainer *t)
{
    return t->state.step + t->state.batch_shift;
}

int trainer_start(struct trainer *t, struct error *err)
{
    const struct config *c = &t->config;
    t->loader = loader_open(&(struct loader_config){.dir = c->data.dir,
                                                    .split = "train",
                                                    .order = (enum order)c->data.order,
                                                    .windows = (enum window_starts)c->data.windows,
                                                    .mask_documents = c->data.mask_documents,
                                                    .seed = c->train.seed,
                                                    .rows = c->train.batch_size,
                                                    .accumulate = c->train.accumulate,
                                                    .block_size = c->model.block_size,
                                                    .first_step = batch_step(t),
                                                    .first_micro = t->state.micro},
                            err);
    if (!t->loader)
        return -1;
    t->peak = products_peak(c->train.precision == PRECISION_BF16);
    start_clock(t);
    return 0;
}

/* --- a step --- */

/* Forward and backward of one micro-batch; its loss, and its weight in the loss of the step. */
static int run_micro_batch(struct trainer *t, uint64_t micro, bool diagnose, double *loss,
                           double *weight, bool *found, struct error *err)
{
    const struct config *c = &t->config;
    struct batch batch;
    if (loader_batch(t->loader, batch_step(t), micro, &batch, err))
        return -1;
    const struct dropout dropout = {.p = c->model.dropout,
                                    .seed = c->train.seed,
                                    .step = batch_step(t),
                                    .first_row = micro * batch.rows};
    double losses[2];
    if (diagnose) {
        *found = nonfinite_find(&t->model, config_model_code(c), &batch, &dropout, t->fault,
                                sizeof t->fault);
    } else {
        config_model_code(c)->loss_and_grads(losses, &t->model, &batch, &dropout);
        *loss = losses[0];
        *weight = batch.weight;
    }
    return 0;
}

/* Runs the step's micro-batches again, from `first` on, until one shows what is not finite. The step is lost either way. */
static void diagnose(struct trainer *t, const char *what, double value, uint64_t first)
{
    uint64_t *micro = &t->state.micro; /* the run stands where it stood */
    char where[sizeof t->fault];
    struct error err;
    bool found = false;
    for (*micro = first; *micro < t->config.train.accumulate; ++*micro)
        if (run_micro_batch(t, *micro, true, NULL, NULL, &found, &err) || found)
            break;
    snprintf(where, sizeof where, "%s", t->fault);
    if (found)
        snprintf(t->fault, sizeof t->fault, "%s is %f; first in micro-batch %llu, %.400s", what,
                 unsigned_nan(value), (unsigned long long)*micro + 1, where);
    else
        snprintf(t->fault, sizeof t->fault, "%s is %f, %s", what, unsigned_nan(value),
                 *micro < t->config.train.accumulate ? "and its batch cannot be read again"
                                                     : "though each micro-batch alone is finite");
}

/* Advances the state past a finished step and measures it. */
static void close_step(struct trainer *t, double loss, double lr, double norm, const char *skipped)
{
    const struct config *c = &t->config;
    const struct train_state *s = &t->state;
    t->state.step++;
    t->state.tokens += config_step_tokens(c);
    t->state.micro = 0;
    t->state.micro_loss = 0;
    const uint64_t rows = c->train.batch_size * (c->train.accumulate - t->began_at),
                   T = c->model.block_size;
    const double time = seconds() - t->started;
    const bool went_back = s->rollbacks && s->step == s->rolled_back_to + 1;
    t->metrics = (struct step_metrics){
        .step = s->step,
        .tokens = s->tokens,
        .loss = loss,
        .smoothed_loss = s->smoothed_loss,
        .lr = lr,
        .grad_norm = norm,
        .tokens_per_s = (double)(rows * T) / time,
        .mfu = step_flops(&t->model.tensors->config, rows, T) / time / t->peak,
        .skipped = skipped,
        .rolled_back_from = went_back ? s->rolled_back_from : 0,
        .batches_skipped = went_back ? s->rolled_back_from - s->rolled_back_to : 0,
    };
}

/* A step whose gradients are not used. */
static void skip_step(struct trainer *t, double loss, double lr, double norm, const char *why)
{
    t->state.skipped++;
    t->state.skipped_in_row++;
    close_step(t, loss, lr, norm, why);
}

/* NaN never passes. */
static bool is_spike(const struct trainer *t, double loss)
{
    return t->config.train.on_spike != ON_SPIKE_NONE &&
           !(loss <= loss_window_limit(&t->state.recent, t->config.train.spike_threshold));
}

static void skip_spike(struct trainer *t, double loss, double lr, double norm)
{
    snprintf(
        t->fault, sizeof t->fault, "loss %.4f is a spike: above %.4f, from the %d losses before",
        loss, loss_window_limit(&t->state.recent, t->config.train.spike_threshold),
        (int)(t->state.recent.count < LOSS_WINDOW_MAX ? t->state.recent.count : LOSS_WINDOW_MAX));
    t->state.spikes++;
    skip_step(t, loss, lr, norm, "spike");
}

/* Clips, updates, and closes the step; or closes it without, where a gradient is not finite or the loss is a spike. */
static void update(struct trainer *t)
{
    const struct config *c = &t->config;
    const struct tensors *tensors = t->model.tensors;
    const struct schedule schedule = config_schedule(c);
    const struct adamw adamw = {c->optim.beta1, c->optim.beta2, c->optim.eps,
                                c->optim.weight_decay};
    const double loss = t->state.micro_loss / (double)c->train.accumulate,
                 kept = 0.95; /* of the smoothed loss, each step */
    const double norm = gradient_norm(t->model.grads, tensors),
                 lr = schedule_lr(&schedule, t->state.step);
    const double clip = clip_factor(norm, c->optim.clip);
    if (!(norm * clip <
          sqrt(FLT_MAX))) { /* the second moment would overflow, and the weight never move again */
        if (isfinite(norm))
            snprintf(t->fault, sizeof t->fault,
                     "grad_norm is %g: its square is more than a float can hold", norm);
        else
            diagnose(t, "grad_norm", norm, 0);
        skip_step(t, loss, lr, norm, "grad_norm");
        return;
    }
    if (is_spike(t, loss)) {
        skip_spike(t, loss, lr, norm);
        return;
    }
    adamw_update(t->model.params, t->m, t->v, t->model.grads, clip, tensors, &adamw, lr,
                 ++t->state.updates);
    t->state.skipped_in_row = 0;
    loss_window_add(&t->state.recent, loss);
    t->state.smoothed_loss =
        isnan(t->state.smoothed_loss) ? loss : kept * t->state.smoothed_loss + (1 - kept) * loss;
    close_step(t, loss, lr, norm, NULL);
}

int trainer_micro_step(struct trainer *t, struct error *err)
{
    const struct config *c = &t->config;
    const struct schedule schedule = config_schedule(c);
    double loss, weight;
    if (t->state.micro == 0) {
        start_clock(t);
        zero(t->model.grads, t->model.tensors->total);
    }
    if (run_micro_batch(t, t->state.micro, false, &loss, &weight, NULL, err))
        return -1;
    if (!isfinite(loss)) {
        diagnose(t, "loss", loss, t->state.micro);
        skip_step(t, loss, schedule_lr(&schedule, t->state.step), NAN, "loss");
        return 0;
    }
    /* update divides by accumulate: micro-batches with fewer targets than others weigh less */
    t->state.micro_loss +=
        c->data.mask_documents ? loss * weight * (double)c->train.accumulate : loss;
    t->state.micro++;
    if (t->state.micro == c->train.accumulate)
        update(t);
    return 0;
}

bool trainer_must_roll_back(const struct trainer *t)
{
    const char *why = t->metrics.skipped;
    return why && (t->state.skipped_in_row >= t->config.train.max_skipped ||
                   (!strcmp(why, "spike") && t->config.train.on_spike == ON_SPIKE_ROLLBACK));
}
