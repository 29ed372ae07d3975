/* run.c: see run.h. The order at the end of a step is: log, evaluate, save. So a checkpoint holds the validation
 * loss of its own step, and a run that is stopped at any point of that order does what is left when it goes on. */
#include "train/run.h"
#include "base/atomic.h"
#include "base/clock.h"
#include "base/directories.h"
#include "base/stop.h"
#include "train/checkpoint/run_folder.h"
#include "train/evaluate.h"
#include "train/run_save.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether a folder holds a run already: config.ini is written last, when there is a checkpoint to resume from, and syncs the names of
 * all that was made before it. */
static bool holds_run(const char *dir)
{
    char path[CONFIG_PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/config.ini", dir);
    return access(path, F_OK) == 0;
}

/* A second run in the folder is refused before it takes memory or time. */
static int check_folder(const struct run_plan *plan, struct error *err)
{
    if (plan->start == RUN_RESUME && !holds_run(plan->dir))
        return fail(err, "%s: holds no run to resume", plan->dir);
    if (plan->start == RUN_FRESH && holds_run(plan->dir))
        return fail(
            err,
            "%s: holds a run already; --resume goes on with it, another --out begins a new one",
            plan->dir);
    /* A run that was killed while it began has left its ckpt-0.h5. Later ones are another's, and --resume would take them. */
    char path[CONFIG_PATH_MAX + 32];
    if (plan->start == RUN_FRESH && checkpoint_after(plan->dir, 0, path, sizeof path))
        return fail(err,
                    "%s: is not of a new run, and there is no config.ini beside it; move it away, "
                    "or choose another --out",
                    path);
    return 0;
}

static int take_folder(struct run *r, const struct run_plan *plan, struct error *err)
{
    if (plan->start == RUN_FRESH && make_directories(r->dir, NULL, err))
        return -1;
    return run_lock_take(&r->lock, r->dir, err) || check_folder(plan, err) ? -1 : 0;
}

static int write_config(const struct run *r, struct error *err)
{
    char path[CONFIG_PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/config.ini", r->dir);
    char *text = config_text(&r->trainer.config);
    if (!text)
        return fail(err, "%s: no memory", path);
    const int status = atomic_write(path, text, strlen(text), err);
    free(text);
    return status;
}

/* The next --resume compares the two: what was allowed now is in both, before there is a step that could be lost. */
static int save_changes(struct run *r, struct error *err)
{
    return (r->trainer.changed && run_save_first(r, err)) || write_config(r, err) ? -1 : 0;
}

static int resume(struct run *r, const struct allowed *allowed, struct error *err)
{
    char path[CONFIG_PATH_MAX + 32];
    if (checkpoint_newest(r->dir, path, sizeof path, err) ||
        trainer_resume(&r->trainer, path, allowed, err))
        return -1;
    r->saved_step = r->trainer.state.step;
    r->saved_micro = r->trainer.state.micro;
    printf("resumes at step %llu from %s\n", (unsigned long long)r->saved_step, path);
    if (r->saved_step >= r->trainer.config.train.steps)
        printf("all %llu steps are done: --set train.steps=N --allow steps trains on\n",
               (unsigned long long)r->trainer.config.train.steps);
    return trainer_start(&r->trainer, err) || run_open_writer(r, r->buffer, r->saved_step, err) ? -1
                                                                                                : 0;
}

/* The folder is made when nothing else can be wrong. */
static int begin(struct run *r, const struct run_plan *plan, struct error *err)
{
    return (plan->init && trainer_load_weights(&r->trainer, plan->init, err)) ||
                   trainer_start(&r->trainer, err) || take_folder(r, plan, err) ||
                   run_open_writer(r, r->buffer, UINT64_MAX, err) || run_save_first(r, err)
               ? -1
               : 0;
}

/* The validation split: a folder may have none, but one that is there has to be sound. */
static int open_validation(struct run *r, struct error *err)
{
    const char *dir = r->trainer.config.data.dir;
    if (!split_exists(dir, "val"))
        return 0;
    r->val = split_open(dir, "val", err);
    if (r->val && r->val->tokens < 2) {
        split_close(r->val);
        r->val = NULL;
        return 0;
    }
    return r->val ? 0 : -1;
}

/* Before weights are loaded: a leak is in the code, not in them, and the probe clears gradients. */
static int probe(struct run *r, struct error *err)
{
    const struct config *c = &r->trainer.config;
    char leak[256];
    for (int documents = 0; documents <= c->data.mask_documents; documents++)
        if (config_model_code(c)->causal_probe(&r->trainer.model, documents, leak, sizeof leak))
            return fail(err, "refuses to train: %s", leak);
    return 0;
}

/* Room for the writer's copy, where there is. */
static void plan_copy(struct run *r)
{
    const struct checkpoint c = trainer_checkpoint(&r->trainer);
    const size_t size = checkpoint_size(&c);
    r->buffer =
        r->trainer.available >= r->trainer.needs && size <= r->trainer.available - r->trainer.needs
            ? size
            : 0;
}

int run_open(struct run *r, const struct config *config, const struct run_plan *plan,
             struct error *err)
{
    *r = (struct run){.saved_step = UINT64_MAX,
                      .saved_micro = UINT64_MAX,
                      .lock.fd = -1,
                      .run_log = RUN_LOG_CLOSED};
    if (snprintf(r->dir, sizeof r->dir, "%s", plan->dir) >= (int)sizeof r->dir)
        return fail(err, "%s: the path is too long", plan->dir);
    if (check_folder(plan, err) || (plan->start == RUN_RESUME && take_folder(r, plan, err)) ||
        trainer_create(&r->trainer, config, err)) {
        run_lock_release(&r->lock);
        return -1;
    }
    const bool resumes = plan->start == RUN_RESUME;
    plan_copy(r);
    if (probe(r, err) || open_validation(r, err) ||
        (resumes ? resume(r, plan->allowed, err) : begin(r, plan, err)) ||
        log_open(&r->log, r->dir, r->trainer.state.step, config->train.steps,
                 config->train.log_every, err) ||
        run_log_open(&r->run_log, r->dir, &r->trainer, err) || save_changes(r, err)) {
        run_close(r);
        return -1;
    }
    r->started = seconds();
    return 0;
}

void run_close(struct run *r)
{
    writer_close(r->writer);
    run_log_close(&r->run_log);
    log_close(&r->log);
    split_close(r->val);
    trainer_destroy(&r->trainer);
    run_lock_release(&r->lock);
}

/* SIGUSR1: save and go on. */
static void answer_signals(struct run *r)
{
    if (!save_requested())
        return;
    r->announce = true;
    run_save(r, SAVE_ROTATED);
}

static bool is_due(uint64_t step, uint64_t every, uint64_t steps)
{
    return every && step && (step % every == 0 || step == steps);
}

/* Between the batches of an evaluation. */
static bool interrupt(void *run)
{
    answer_signals(run);
    run_watch_saves(run);
    return stop_requested();
}

/* Measures the validation loss where it is due and not yet measured; whether it is the best so far. */
static int validate(struct run *r, bool *is_best, struct error *err)
{
    struct trainer *t = &r->trainer;
    const struct config *c = &t->config;
    *is_best = false;
    if (!r->val || t->state.micro || !is_due(t->state.step, c->train.eval_every, c->train.steps) ||
        (!isnan(t->state.val_loss) && t->state.val_step == t->state.step))
        return 0;
    struct evaluation e;
    const struct interruption interruption = {interrupt, r};
    const struct evaluation_plan plan = {r->val, c->train.batch_size, c->train.eval_tokens,
                                         c->data.mask_documents, NULL};
    if (evaluate_interruptibly(&e, &t->model, config_model_code(c), &plan, &interruption, err))
        return -1;
    if (e.stopped)
        return 0;
    t->state.val_loss = e.loss;
    t->state.val_step = t->state.step;
    log_validation(&r->log, t->state.step, e.loss);
    if (!isfinite(e.loss) || t->state.best_val_loss <= e.loss)
        return 0;
    t->state.best_val_loss = e.loss;
    t->state.best_step = t->state.step;
    *is_best = true;
    return 0;
}

/* Data that cannot be read ends the run; what it has learnt is whole, and is saved. */
static int save_and_fail(struct run *r)
{
    struct error told; /* when it was tried first */
    (void)run_finish_saves(r, &told);
    return -1;
}

/* What a stop in the middle of an evaluation left undone, too. */
static int validate_and_save(struct run *r, bool due, struct error *err)
{
    struct trainer *t = &r->trainer;
    bool is_best;
    if (validate(r, &is_best, err))
        return save_and_fail(r);
    due = due || r->owed;
    r->owed =
        due &&
        t->state.skipped_in_row; /* a checkpoint to go back to is one from before the trouble */
    const unsigned targets = (due && !r->owed ? SAVE_ROTATED : 0) | (is_best ? SAVE_BEST : 0);
    if (targets)
        run_save(r, targets);
    return 0;
}

static int finish_step(struct run *r, struct error *err)
{
    struct trainer *t = &r->trainer;
    t->metrics.stall_s = r->stall_s;
    r->stall_s = 0;
    const double before = seconds();
    log_step(&r->log, &t->metrics);
    r->total_log_s += seconds() - before;
    if (t->metrics.skipped)
        log_warn(&r->log, "step %llu changes no weights: %s", (unsigned long long)t->state.step,
                 t->fault);
    if (trainer_must_roll_back(t)) {
        const int status = run_roll_back(r, err);
        return status ? fail(err, "%.800s; last checkpoint: %s", err->text, t->last_checkpoint) : 0;
    }
    if (validate_and_save(
            r, is_due(t->state.step, t->config.train.checkpoint_every, t->config.train.steps), err))
        return -1;
    const double saved = seconds();
    run_log_step(&r->run_log, t);
    r->total_log_s += seconds() - saved;
    return 0;
}

/* Whether best.h5 holds these weights, unless the power went between the two files of the save that a run is resumed from. */
static bool is_at_best(const struct train_state *s)
{
    return s->step && !s->micro && s->best_step == s->step && s->val_step == s->step &&
           !isnan(s->best_val_loss);
}

static int train(struct run *r, uint64_t stop_at, struct error *err)
{
    struct trainer *t = &r->trainer;
    if (is_at_best(&t->state))
        run_save(r, SAVE_BEST);
    if (validate_and_save(r, false, err))
        return -1;
    while (t->state.step < stop_at && !stop_requested()) {
        if (trainer_micro_step(t, err))
            return save_and_fail(r);
        run_watch_saves(r);
        answer_signals(r);
        if (t->state.micro == 0 && finish_step(r, err))
            return -1;
    }
    return run_finish_saves(r, err);
}

int run_train(struct run *r, uint64_t stop_at, struct error *err)
{
    const struct trainer *t = &r->trainer;
    if (train(r, stop_at, err))
        return -1;
    if (t->state.step < t->config.train.steps)
        log_note(&r->log, "stopped after step %llu; --resume goes on from %s",
                 (unsigned long long)t->state.step, t->last_checkpoint);
    return 0;
}
