/* run.c: see run.h. The order at the end of a step is: evaluate, keep the best, log, save. So a checkpoint holds the validation
 * loss of its own step, and a run that is stopped at any point of that order does what is left when it goes on. */
#include "run.h"
#include "../data/atomic.h"
#include "../data/folders.h"
#include "evaluate.h"
#include "stop.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether a folder holds a run already: config.ini is written last, when there is a checkpoint to resume from. */
static bool holds_run(const char *dir)
{
    char path[CONFIG_PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/config.ini", dir);
    return access(path, F_OK) == 0;
}

static int make_folder(struct run *r, enum run_start start, struct error *err)
{
    if (start == RUN_RESUME) {
        if (!holds_run(r->dir))
            return fail(err, "%s: holds no run to resume", r->dir);
        return 0;
    }
    if (holds_run(r->dir))
        return fail(err, "%s: holds a run already; --resume goes on with it, another --out begins a new one", r->dir);
    return folders_make(r->dir, NULL, err);
}

static int write_config(const struct run *r, struct error *err)
{
    char path[CONFIG_PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/config.ini", r->dir);
    char *text = config_text(&r->trainer.config);
    if (!text)
        return fail(err, "%s: no memory", path);
    const int status = atomic_write(path, text, strlen(text), NULL, 0, err);
    free(text);
    return status;
}

static int save(struct run *r, struct error *err)
{
    struct trainer *t = &r->trainer;
    if (r->saved_step == t->state.step && r->saved_micro == t->state.micro)
        return 0;
    char path[CONFIG_PATH_MAX + 32];
    if (checkpoint_path(r->dir, t->state.step, path, sizeof path, err) || trainer_save(t, path, err))
        return -1;
    snprintf(t->last_checkpoint, sizeof t->last_checkpoint, "%s", path);
    r->saved_step = t->state.step;
    r->saved_micro = t->state.micro;
    return checkpoint_rotate(r->dir, t->config.train.keep, err);
}

static int load(struct run *r, enum run_start start, const char *init, struct error *err)
{
    if (start == RUN_RESUME) {
        char path[CONFIG_PATH_MAX + 32];
        if (checkpoint_newest(r->dir, path, sizeof path, err) || trainer_resume(&r->trainer, path, err))
            return -1;
        r->saved_step = r->trainer.state.step;
        r->saved_micro = r->trainer.state.micro;
        printf("resumes at step %llu from %s\n", (unsigned long long)r->saved_step, path);
        return 0;
    }
    if (init && trainer_load_weights(&r->trainer, init, err))
        return -1;
    return save(r, err);
}

/* The validation split: a folder may have none, but one that is there has to be sound. */
static int open_validation(struct run *r, struct error *err)
{
    const char *dir = r->trainer.config.data.dir;
    if (!split_exists(dir, "val"))
        return 0;
    r->val = split_open(dir, "val", err);
    if (r->val && split_tokens(r->val) < 2) {
        split_close(r->val);
        r->val = NULL;
        return 0;
    }
    return r->val ? 0 : -1;
}

/* Before weights are loaded: a leak is in the code, not in them, and the probe clears gradients. */
static int probe(struct run *r, struct error *err)
{
    char leak[256];
    return passes_of(&r->trainer.config)->causal_probe(&r->trainer.model, leak, sizeof leak)
               ? fail(err, "refuses to train: %s", leak)
               : 0;
}

int run_open(struct run *r, const struct config *config, const char *dir, enum run_start start, const char *init,
             struct error *err)
{
    *r = (struct run){.saved_step = UINT64_MAX, .saved_micro = UINT64_MAX};
    if (snprintf(r->dir, sizeof r->dir, "%s", dir) >= (int)sizeof r->dir)
        return fail(err, "%s: the path is too long", dir);
    if (trainer_create(&r->trainer, config, err))
        return -1;
    if (probe(r, err) || open_validation(r, err) || make_folder(r, start, err) || load(r, start, init, err) ||
        write_config(r, err) || trainer_start(&r->trainer, err) ||
        log_open(&r->log, r->dir, r->trainer.state.step, config->train.steps, config->train.log_every, err)) {
        run_close(r);
        return -1;
    }
    return 0;
}

void run_close(struct run *r)
{
    log_close(&r->log);
    split_close(r->val);
    trainer_destroy(&r->trainer);
}

static bool is_due(uint64_t step, uint64_t every, uint64_t steps)
{
    return every && step && (step % every == 0 || step == steps);
}

/* Measures the validation loss where it is due and not yet measured, and keeps the best weights so far. */
static int validate(struct run *r, bool *measured, struct error *err)
{
    struct trainer *t = &r->trainer;
    const struct config *c = &t->config;
    *measured = false;
    if (!r->val || t->state.micro || !is_due(t->state.step, c->train.eval_every, c->train.steps) ||
        (!isnan(t->state.val_loss) && t->state.val_step == t->state.step))
        return 0;
    struct evaluation e;
    if (evaluate(&e, &t->model, passes_of(c), r->val, c->train.batch_size, c->train.eval_tokens, NULL, err))
        return -1;
    if (e.stopped)
        return 0;
    *measured = true;
    t->state.val_loss = e.loss;
    t->state.val_step = t->state.step;
    if (!isfinite(e.loss) || t->state.best_val_loss <= e.loss)
        return 0;
    t->state.best_val_loss = e.loss;
    t->state.best_step = t->state.step;
    char path[CONFIG_PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/best.h5", r->dir);
    return trainer_save(t, path, err);
}

static int finish_step(struct run *r, struct error *err)
{
    struct trainer *t = &r->trainer;
    bool measured;
    if (validate(r, &measured, err))
        return -1;
    if (measured)
        t->metrics.val_loss = t->state.val_loss;
    if (log_step(&r->log, &t->metrics, err))
        return -1;
    return is_due(t->state.step, t->config.train.checkpoint_every, t->config.train.steps) ? save(r, err) : 0;
}

/* What a stop in the middle of an evaluation left undone. */
static int catch_up(struct run *r, struct error *err)
{
    bool measured;
    if (validate(r, &measured, err))
        return -1;
    return measured ? log_validation(&r->log, r->trainer.state.step, r->trainer.state.val_loss, err) : 0;
}

int run_train(struct run *r, uint64_t stop_at, struct error *err)
{
    struct trainer *t = &r->trainer;
    if (catch_up(r, err))
        return -1;
    while (t->state.step < stop_at && !stop_requested()) {
        if (trainer_micro_step(t, err) || (t->state.micro == 0 && finish_step(r, err)))
            return -1;
    }
    if (save(r, err))
        return -1;
    if (t->state.step < t->config.train.steps)
        log_note(&r->log, "stopped after step %llu; --resume goes on from %s", (unsigned long long)t->state.step,
                 t->last_checkpoint);
    return 0;
}
