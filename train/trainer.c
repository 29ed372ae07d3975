/* trainer.c: see trainer.h. The loop over the steps is in run.c. */
#include "train/trainer.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/minmax.h"
#include "model/zero.h"
#include "optim/clip.h"
#include "train/nonfinite.h"
#include "train/peak.h"
#include "train/resume.h"
#include "train/weights.h"
#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

/* --- creating and loading --- */

/* Opens the tokenizer of the data and creates the table of tensors for it. */
static struct tensors *open_tokenizer(struct trainer *t, struct error *err)
{
    char path[RUN_PATH_MAX];
    if (!t->config.data.dir[0])
        return fail_null(
            err, "data.dir is not set: expected the directory that `handgrad tokenize` wrote");
    if (access(run_path(path, t->config.data.dir, "tokenizer.h5"), F_OK))
        return fail_null(err, "data.dir: %s: %s; `handgrad tokenize TEXT -o %s` writes the data",
                         path, strerror(errno), t->config.data.dir);
    t->tokenizer = tokenizer_load(run_path(path, t->config.data.dir, "tokenizer.h5"), err);
    return t->tokenizer ? config_tensors(&t->config, t->tokenizer->vocab_size, "configuration", err)
                        : NULL;
}

/* Checks whether everything allocated for the run fits into memory. */
static int check_memory(struct trainer *t, struct tensors *tensors, size_t rows, struct error *err)
{
    enum { MOMENTS = 2 };
    const struct config *c = &t->config;
    char name[80];
    t->available = memory_available();
    if (__builtin_add_overflow(gpt_bytes(tensors, rows, config_gpt_use(c)),
                               MOMENTS * tensors->total * sizeof(real), &t->needs) ||
        __builtin_add_overflow(
            t->needs, loader_bytes(rows, c->model.block_size, c->data.mask_documents), &t->needs))
        t->needs = SIZE_MAX;
    snprintf(name, sizeof name, "batch_size %" PRIu64 " of %" PRIu64 " tokens", c->train.batch_size,
             c->model.block_size);
    return memory_check(t->needs, name, err);
}

static int allocate(struct trainer *t, struct tensors *tensors, struct error *err)
{
    const size_t rows = t->config.train.batch_size * t->config.model.block_size;
    if (check_memory(t, tensors, rows, err)) {
        tensors_destroy(tensors);
        return -1;
    }
    if (gpt_create(&t->model, tensors, rows, config_gpt_use(&t->config)))
        return fail(err, "out of memory for a model of this size at batch_size %" PRIu64,
                    t->config.train.batch_size);
    for (int pass = 0; pass < 2; pass++) {
        if (pass && arena_allocate(&t->moments))
            return fail(err, "out of memory for the optimiser's moments");
        t->m = arena_take(&t->moments, t->model.tensors->total, sizeof(real));
        t->v = arena_take(&t->moments, t->model.tensors->total, sizeof(real));
    }
    return 0;
}

static int describe_data(struct trainer *t, struct error *err)
{
    struct split *s = split_open(t->config.data.dir, "train", err);
    if (!s)
        return -1;
    strcpy(t->data_fingerprint, s->fingerprint);
    t->state.documents = s->n_documents;
    split_close(s);
    return 0;
}

int trainer_create(struct trainer *t, const struct config *config, struct error *err)
{
    *t = (struct trainer){.config = *config};
    t->state.val_loss = t->state.best_val_loss = t->state.smoothed_loss = NAN;
    struct tensors *tensors = open_tokenizer(t, err);
    if (!tensors || allocate(t, tensors, err) || describe_data(t, err)) {
        trainer_destroy(t);
        return -1;
    }
    gpt_init(&t->model, t->config.train.seed);
    return 0;
}

void trainer_destroy(struct trainer *t)
{
    loader_close(t->loader);
    gpt_destroy(&t->model);
    arena_free(&t->moments);
    tokenizer_destroy(t->tokenizer);
    *t = (struct trainer){0};
}

int trainer_load_weights(struct trainer *t, const char *path, struct error *err)
{
    const struct checkpoint run = trainer_checkpoint(t);
    return weights_load(t->model.params, &run, path, err);
}

/* Reads weights, moments and, within a step, gradients. */
static int read_arrays(struct trainer *t, struct checkpoint_file *f, const struct checkpoint *c,
                       struct error *err)
{
    return checkpoint_read(f, "params", t->model.params, err) ||
           checkpoint_read(f, "adamw/m", t->m, err) || checkpoint_read(f, "adamw/v", t->v, err) ||
           (c->state.micro && checkpoint_read(f, "grads", t->model.grads, err));
}

/* The step whose batches, and random numbers of dropout, the current step uses. */
static uint64_t batch_step(const struct trainer *t)
{
    return t->state.step + t->state.batch_shift;
}

int trainer_resume(struct trainer *t, const char *path, const struct allowed *allowed,
                   struct error *err)
{
    struct checkpoint c;
    char differences[512];
    const struct checkpoint run = trainer_checkpoint(t);
    struct checkpoint_file *f = checkpoint_open(path, &c, err);
    const bool failed =
        !f || check_resume(&run, &c, allowed, path, err) || read_arrays(t, f, &c, err);
    checkpoint_close(f);
    if (failed)
        return -1;
    t->changed = config_diff(&c.config, &t->config, differences, sizeof differences) > 0;
    if (t->changed)
        printf("changed since %s: %s\n", path, differences);
    t->changed |= strcmp(c.data_fingerprint, t->data_fingerprint) != 0;
    c.state.documents = t->state.documents; /* of the data that is trained on from here */
    t->state = c.state;
    /* The next step reads on where the last one ended, whatever the number of rows. */
    t->state.row_shift += batch_step(t) * (c.config.train.batch_size * c.config.train.accumulate -
                                           t->config.train.batch_size * t->config.train.accumulate);
    snprintf(t->last_checkpoint, sizeof t->last_checkpoint, "%s", path);
    return 0;
}

/* Starts timing a step, or the rest of one that another process began. */
static void start_clock(struct trainer *t)
{
    t->started = seconds();
    t->began_at = t->state.micro;
}

int trainer_roll_back(struct trainer *t, const char *path, struct error *err)
{
    struct checkpoint c;
    struct train_state *now = &t->state, *then = &c.state;
    struct checkpoint_file *f = checkpoint_open(path, &c, err);
    const bool failed = !f || checkpoint_fits(&c, &t->model.tensors->config, path, err) ||
                        (then->rollbacks < now->rollbacks &&
                         fail(err, "step %" PRIu64 ": %s, again after rolling back to %s",
                              now->step, t->fault, path)) ||
                        read_arrays(t, f, &c, err);
    checkpoint_close(f);
    if (failed)
        return -1;
    /* The counters stay, as does the best validation loss, whose best.h5 still exists. */
    then->best_val_loss = now->best_val_loss;
    then->best_step = now->best_step;
    then->evals_since_best = now->evals_since_best;
    strcpy(then->val_measure, now->val_measure);
    then->documents = now->documents;
    then->skipped = now->skipped;
    then->spikes = now->spikes;
    then->rollbacks = now->rollbacks + 1;
    then->rolled_back_from = now->step;
    then->rolled_back_to = then->step;
    then->batch_shift = now->step + now->batch_shift - then->step;
    *now = *then;
    now->micro = 0; /* other batches follow: they do not complete a step that was begun */
    now->micro_loss = 0;
    start_clock(t);
    return 0;
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
    strcpy(c.data_fingerprint, t->data_fingerprint);
    return c;
}

int trainer_start(struct trainer *t, struct error *err)
{
    const struct config *c = &t->config;
    t->loader = loader_open(&(struct loader_config){.dir = c->data.dir,
                                                    .split = "train",
                                                    .order = c->data.order,
                                                    .windows = c->data.windows,
                                                    .mask_documents = c->data.mask_documents,
                                                    .seed = c->train.seed,
                                                    .rows = c->train.batch_size,
                                                    .accumulate = c->train.accumulate,
                                                    .block_size = c->model.block_size,
                                                    .row_shift = t->state.row_shift,
                                                    .first_step = batch_step(t),
                                                    .first_micro = t->state.micro},
                            err);
    if (!t->loader)
        return -1;
    t->peak = products_peak(c->train.precision == PRECISION_BF16);
    start_clock(t);
    return 0;
}

/* --- steps --- */

/* Runs forward and backward of one micro-batch and returns its loss and weight; or, if there is
 * `where`, describes there its first number that is not finite. */
static int run_micro_batch(struct trainer *t, uint64_t micro, double *loss, double *weight,
                           char where[FAULT_MAX], struct error *err)
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
    if (where)
        nonfinite_find(&t->model, config_model_code(c), &batch, &dropout, where, FAULT_MAX);
    else {
        config_model_code(c)->loss_and_grads(losses, &t->model, &batch, &dropout);
        *loss = losses[0];
        *weight = batch.weight;
    }
    return 0;
}

/* Runs the micro-batches of the step again, from `first` on, until the first number that is not
 * finite is found. Overwrites the gradients, which will not be used. */
static void diagnose(struct trainer *t, const char *what, double value, uint64_t first)
{
    uint64_t *micro = &t->state.micro; /* read by hooks */
    char where[FAULT_MAX] = "";
    for (*micro = first; *micro < t->config.train.accumulate; ++*micro)
        if (run_micro_batch(t, *micro, NULL, NULL, where, NULL) || *where)
            break;
    if (*where)
        snprintf(t->fault, FAULT_MAX, "%s is %f; first in micro-batch %" PRIu64 ", %.400s", what,
                 unsigned_nan(value), *micro + 1, where);
    else
        snprintf(t->fault, FAULT_MAX, "%s is %f, %s", what, unsigned_nan(value),
                 *micro < t->config.train.accumulate ? "and its batch cannot be read again"
                                                     : "although each micro-batch alone is finite");
}

/* Advances the state past a finished step and measures it. `skipped`: why the weights did not
 * change, or NULL. */
static void end_step(struct trainer *t, double loss, double norm, const char *skipped)
{
    const struct config *c = &t->config;
    struct train_state *s = &t->state;
    const double lr = config_lr(c, s->step++), time = seconds() - t->started;
    s->tokens += config_step_tokens(c);
    s->micro = 0;
    s->micro_loss = 0;
    s->skipped += skipped != NULL;
    s->skipped_in_row = skipped ? s->skipped_in_row + 1 : 0;
    const uint64_t rows = c->train.batch_size * (c->train.accumulate - t->began_at),
                   T = c->model.block_size;
    const bool rolled_back = s->rollbacks && s->step == s->rolled_back_to + 1;
    t->metrics = (struct step_metrics){
        .step = s->step,
        .tokens = s->tokens,
        .loss = loss,
        .smoothed_loss = s->smoothed_loss,
        .lr = lr,
        .grad_norm = norm,
        .tokens_per_s = rows * T / time,
        .mfu = step_flops(&t->model.tensors->config, rows, T) / time / t->peak,
        .skipped = skipped,
        .rolled_back_from = rolled_back ? s->rolled_back_from : 0,
        .batches_skipped = rolled_back ? s->rolled_back_from - s->rolled_back_to : 0,
    };
}

/* Why the update must be skipped, or NULL. `norm` is that of the gradient, clipped by `factor`. */
static const char *find_fault(struct trainer *t, double loss, double norm, double factor)
{
    const struct config *c = &t->config;
    /* If the second moment overflowed, its weight would never change again. */
    if (!(norm * factor < sqrt(FLT_MAX))) {
        if (isfinite(norm))
            snprintf(t->fault, FAULT_MAX, "grad_norm is %g: its square does not fit in a float",
                     norm);
        else
            diagnose(t, "grad_norm", norm, 0);
        return "grad_norm";
    }
    if (c->train.on_spike == ON_SPIKE_NONE)
        return NULL;
    const double limit = loss_window_limit(&t->state.recent, c->train.spike_threshold);
    if (loss <= limit) /* never true of a NaN */
        return NULL;
    snprintf(t->fault, FAULT_MAX,
             "loss %.4f is a spike: above %.4f, the limit from the last %zu losses", loss, limit,
             size_min(t->state.recent.count, LOSS_WINDOW_MAX));
    t->state.spikes++;
    return "spike";
}

/* Clips the gradient, updates the weights unless there is a fault, and ends the step. */
static void update(struct trainer *t)
{
    const struct config *c = &t->config;
    struct train_state *s = &t->state;
    const double loss = s->micro_loss / c->train.accumulate,
                 norm = gradient_norm(t->model.grads, t->model.tensors),
                 factor = clip_factor(norm, c->optim.clip),
                 kept = 0.95; /* share of the smoothed loss kept each step */
    const struct adamw adamw = config_adamw(c);
    const char *fault = find_fault(t, loss, norm, factor);
    if (!fault) {
        adamw_update(t->model.params, t->m, t->v, t->model.grads, factor, t->model.tensors, &adamw,
                     config_lr(c, s->step), ++s->updates);
        loss_window_add(&s->recent, loss);
        s->smoothed_loss =
            isnan(s->smoothed_loss) ? loss : kept * s->smoothed_loss + (1 - kept) * loss;
    }
    end_step(t, loss, norm, fault);
}

int trainer_micro_step(struct trainer *t, struct error *err)
{
    const struct config *c = &t->config;
    struct train_state *s = &t->state;
    double loss, weight;
    if (s->micro == 0) {
        start_clock(t);
        zero(t->model.grads, t->model.tensors->total);
    }
    if (run_micro_batch(t, s->micro, &loss, &weight, NULL, err))
        return -1;
    if (!isfinite(loss)) {
        diagnose(t, "loss", loss, s->micro);
        end_step(t, loss, NAN, "loss");
        return 0;
    }
    /* update divides by accumulate; a micro-batch with fewer targets than others has a smaller
     * weight */
    s->micro_loss += c->data.mask_documents ? loss * weight * c->train.accumulate : loss;
    if (++s->micro == c->train.accumulate)
        update(t);
    return 0;
}

bool trainer_must_roll_back(const struct trainer *t)
{
    const char *why = t->metrics.skipped;
    return why && (t->state.skipped_in_row >= t->config.train.max_skipped ||
                   (!strcmp(why, "spike") && t->config.train.on_spike == ON_SPIKE_ROLLBACK));
}
