/* run.c: see run.h. A step ends with log, evaluate, save, in this order. A checkpoint therefore
 * holds the validation loss of its own step, and a resumed run does what an earlier stop left
 * undone. */
#include "train/run.h"
#include "base/atomic.h"
#include "base/clock.h"
#include "base/directories.h"
#include "base/stop.h"
#include "train/checkpoint/run_directory.h"
#include "train/evaluate.h"
#include "train/run_save.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- opening --- */

/* Refuses a directory that does not fit the plan. It contains a run if there is a config.ini, which
 * is written last, once there is a checkpoint to resume from. Without one, ckpt-0.h5 is left from a
 * run that was killed while it started, but later checkpoints belong to another run, and --resume
 * would use them. */
static int check_directory(const struct run_plan *plan, struct error *err)
{
    char path[RUN_PATH_MAX];
    const bool has_run = access(run_path(path, plan->dir, "config.ini"), F_OK) == 0;
    if (plan->resumes)
        return has_run ? 0 : fail(err, "%s: holds no run to resume", plan->dir);
    if (has_run)
        return fail(err,
                    "%s: already holds a run; use --resume to continue it, or another --out to "
                    "start a new one",
                    plan->dir);
    return checkpoint_after(path, plan->dir, 0)
               ? fail(err,
                      "%s: belongs to another run, whose config.ini is missing; move it away, or "
                      "choose another --out",
                      path)
               : 0;
}

static int lock_directory(struct run *r, const struct run_plan *plan, struct error *err)
{
    return (!plan->resumes && make_directories(r->dir, NULL, err)) ||
           run_lock_take(&r->lock, r->dir, err) || check_directory(plan, err);
}

/* Saves the configuration, and before it a checkpoint if anything has changed since the one resumed
 * from: what --allow permitted once is not asked for again by the next --resume. */
static int save_changes(struct run *r, struct error *err)
{
    char path[RUN_PATH_MAX];
    if (r->trainer.changed && run_save_first(r, err))
        return -1;
    char *text = config_text(&r->trainer.config);
    const int status =
        text ? atomic_write(run_path(path, r->dir, "config.ini"), text, strlen(text), err)
             : fail(err, "%s: out of memory", r->dir);
    free(text);
    return status;
}

/* Opens the writer, with a buffer for the copy of a checkpoint if enough memory is available. */
static int open_writer(struct run *r, struct error *err)
{
    const struct trainer *t = &r->trainer;
    const struct checkpoint c = trainer_checkpoint(t);
    const size_t size = checkpoint_size(&c);
    r->buffer = t->available >= t->needs && size <= t->available - t->needs ? size : 0;
    r->writer = writer_open(r->dir, t->config.train.keep, r->buffer, r->saved_step, err);
    return r->writer ? 0 : -1;
}

/* A loss that was measured on something else is no best: forgets it, and has it measured anew.
 * Checkpoints of older versions do not say on what; theirs was measured without regard to
 * data.windows, and with masks, without the first token of each document. */
static void check_validation(struct run *r)
{
    struct train_state *s = &r->trainer.state;
    const struct config *c = &r->trainer.config;
    char now[VAL_MEASURE_MAX];
    if (!r->val)
        return;
    snprintf(now, sizeof now, "%.16s eval_tokens=%" PRIu64 " windows=%s mask_documents=%s",
             r->val->fingerprint, c->train.eval_tokens,
             c->data.windows == WINDOWS_DOCUMENTS ? "documents" : "anywhere",
             c->data.mask_documents ? "yes" : "no");
    const bool same =
        *s->val_measure
            ? !strcmp(now, s->val_measure)
            : !r->trainer.changed && c->data.windows == WINDOWS_ANYWHERE && !c->data.mask_documents;
    if (!same && !isnan(s->best_val_loss)) {
        printf("best validation loss %.4f after step %" PRIu64
               " was measured on other data or settings: measured anew\n",
               s->best_val_loss, s->best_step);
        s->val_loss = s->best_val_loss = NAN;
        s->evals_since_best = 0;
        r->measure_now = true;
    }
    strcpy(s->val_measure, now);
}

static int resume(struct run *r, const struct run_plan *plan, struct error *err)
{
    char path[RUN_PATH_MAX];
    struct trainer *t = &r->trainer;
    if (checkpoint_newest(path, r->dir, false, err) || trainer_resume(t, path, plan->allowed, err))
        return -1;
    r->saved_step = t->state.step;
    r->saved_micro = t->state.micro;
    check_validation(r);
    const uint64_t steps = t->config.train.steps;
    printf("resuming at step %" PRIu64 " from %s\n", r->saved_step, path);
    if (r->saved_step >= steps)
        printf("all %" PRIu64
               " steps are done; to continue, use --set train.steps=N --allow steps\n",
               steps);
    return trainer_start(t, err) || open_writer(r, err);
}

/* Creates the directory last, when nothing else can fail. */
static int begin(struct run *r, const struct run_plan *plan, struct error *err)
{
    check_validation(r);
    return (plan->init && trainer_load_weights(&r->trainer, plan->init, err)) ||
           trainer_start(&r->trainer, err) || lock_directory(r, plan, err) || open_writer(r, err) ||
           run_save_first(r, err);
}

/* The validation split may be missing, but not damaged. */
static int open_validation(struct run *r, struct error *err)
{
    const char *dir = r->trainer.config.data.dir;
    if (!split_exists(dir, "val"))
        return 0;
    r->val = split_open(dir, "val", err);
    if (!r->val)
        return -1;
    if (r->val->tokens < 2) {
        split_close(r->val);
        r->val = NULL;
    }
    return 0;
}

/* Checks that no position sees later ones. Before the weights are loaded: a leak does not depend on
 * them, and the probe overwrites gradients. */
static int probe(struct run *r, struct error *err)
{
    const struct config *c = &r->trainer.config;
    char leak[256];
    for (int documents = 0; documents <= c->data.mask_documents; documents++)
        if (config_model_code(c)->causal_probe(&r->trainer.model, documents, leak, sizeof leak))
            return fail(err, "training refused: %s", leak);
    return 0;
}

int run_open(struct run *r, const struct config *config, const struct run_plan *plan,
             struct error *err)
{
    *r = (struct run){.saved_step = UINT64_MAX, .saved_micro = UINT64_MAX, .lock.fd = -1};
    if (snprintf(r->dir, sizeof r->dir, "%s", plan->dir) >= (int)sizeof r->dir)
        return fail(err, "%s: the path is too long", plan->dir);
    if (check_directory(plan, err) || (plan->resumes && lock_directory(r, plan, err)) ||
        trainer_create(&r->trainer, config, err) || probe(r, err) || open_validation(r, err) ||
        (plan->resumes ? resume(r, plan, err) : begin(r, plan, err)) ||
        log_open(&r->log, r->dir, r->trainer.state.step, config->train.steps,
                 config->train.log_every, err) ||
        run_log_open(&r->run_log, r->dir, &r->trainer, err) || save_changes(r, err)) {
        run_close(r);
        return -1;
    }
    r->started = seconds();
    r->smoothed_at_best = r->trainer.state.smoothed_loss;
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

/* --- training --- */

/* Saves if SIGUSR1 was received. */
static void answer_save_request(struct run *r)
{
    if (save_requested()) {
        r->requested = true;
        run_save(r, SAVE_ROTATED);
    }
}

/* Called between the batches of an evaluation. */
static bool interrupted(void *run)
{
    answer_save_request(run);
    run_poll_saves(run);
    return stop_requested();
}

/* Says that the model memorises its text: for three evaluations since the best, the validation loss
 * has risen while the training loss fell. */
static void watch_overfitting(struct run *r)
{
    enum { ENOUGH = 3 };
    const struct train_state *s = &r->trainer.state;
    if (s->evals_since_best == 0)
        r->smoothed_at_best = s->smoothed_loss;
    else if (s->evals_since_best == ENOUGH && s->smoothed_loss < r->smoothed_at_best &&
             s->val_loss > 1.01 * s->best_val_loss)
        log_note(&r->log,
                 "the training loss falls, but the validation loss has risen since step %" PRIu64
                 ": the model memorises its text. best.h5 keeps the best weights; dropout, a "
                 "smaller model or more text may help",
                 s->best_step);
}

static void take_validation(struct run *r, const struct evaluation *e, bool *is_best)
{
    struct train_state *s = &r->trainer.state;
    char part[80] = "";
    if (e->tokens < r->val->tokens / 2)
        snprintf(part, sizeof part, " (on %" PRIu64 " of %" PRIu64 " tokens)", e->tokens,
                 r->val->tokens);
    s->val_loss = e->loss;
    s->val_step = s->step;
    log_validation(&r->log, s->step, e->loss, part);
    *is_best = isfinite(e->loss) && !(s->best_val_loss <= e->loss);
    s->evals_since_best++;
    if (*is_best) {
        s->best_val_loss = e->loss;
        s->best_step = s->step;
        s->evals_since_best = 0;
    }
    watch_overfitting(r);
}

/* Measures the validation loss if it is due and not yet measured. *is_best: it is the lowest so
 * far. */
static int validate(struct run *r, bool *is_best, struct error *err)
{
    struct trainer *t = &r->trainer;
    struct train_state *s = &t->state;
    const struct config *c = &t->config;
    *is_best = false;
    const bool due = r->measure_now || config_is_due(c, s->step, c->train.eval_every);
    if (!r->val || s->micro || !due || (!isnan(s->val_loss) && s->val_step == s->step))
        return 0;
    struct evaluation e;
    const struct evaluation_plan plan = {.split = r->val,
                                         .rows = c->train.batch_size,
                                         .max_tokens = c->train.eval_tokens,
                                         .windows = c->data.windows,
                                         .mask_documents = c->data.mask_documents,
                                         .interrupted = interrupted,
                                         .context = r};
    if (evaluate(&e, &t->model, config_model_code(c), &plan, err))
        return -1;
    if (e.stopped)
        return 0;
    r->measure_now = false;
    take_validation(r, &e, is_best);
    return 0;
}

/* Whether train.patience has ended the run. */
static bool out_of_patience(const struct run *r)
{
    const uint64_t patience = r->trainer.config.train.patience;
    return patience && r->trainer.state.evals_since_best >= patience;
}

/* Data that cannot be read ends the run. The steps done so far are saved. */
static int save_and_fail(struct run *r)
{
    run_finish_saves(r, NULL); /* the first error is the one to report */
    return -1;
}

/* Also does what a stop during an evaluation left undone. */
static int validate_and_save(struct run *r, bool due, struct error *err)
{
    bool is_best;
    if (validate(r, &is_best, err))
        return save_and_fail(r);
    due |= r->postponed;
    r->postponed = due && r->trainer.state.skipped_in_row; /* a rollback needs an older one */
    const unsigned targets = (due && !r->postponed ? SAVE_ROTATED : 0) | (is_best ? SAVE_BEST : 0);
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
        log_warn(&r->log, "step %" PRIu64 " skipped: %s", t->state.step, t->fault);
    if (trainer_must_roll_back(t))
        return run_roll_back(r, err) &&
               fail(err, "%.800s; last checkpoint: %s", err->text, t->last_checkpoint);
    const struct config *c = &t->config;
    if (validate_and_save(r, config_is_due(c, t->state.step, c->train.checkpoint_every), err))
        return -1;
    const double saved = seconds();
    char *sample = run_log_step(&r->run_log, t);
    if (sample)
        log_note(&r->log, "step %" PRIu64 "  sample %s", t->state.step, sample);
    free(sample);
    r->total_log_s += seconds() - saved;
    return 0;
}

static int train(struct run *r, uint64_t stop_at, struct error *err)
{
    struct trainer *t = &r->trainer;
    const struct train_state *s = &t->state;
    const bool is_best = s->step && !s->micro && s->best_step == s->step &&
                         s->val_step == s->step && !isnan(s->best_val_loss);
    if (is_best) /* a power cut may have lost best.h5 but not the checkpoint */
        run_save(r, SAVE_BEST);
    if (validate_and_save(r, false, err))
        return -1;
    while (s->step < stop_at && !stop_requested() && !out_of_patience(r)) {
        if (trainer_micro_step(t, err))
            return save_and_fail(r);
        run_poll_saves(r);
        answer_save_request(r);
        if (!s->micro && finish_step(r, err))
            return -1;
    }
    return run_finish_saves(r, err);
}

int run_train(struct run *r, uint64_t stop_at, struct error *err)
{
    const struct trainer *t = &r->trainer;
    if (train(r, stop_at, err))
        return -1;
    if (out_of_patience(r) && t->state.step < stop_at)
        log_note(&r->log,
                 "stopped after step %" PRIu64 ": %" PRIu64
                 " evaluations without a better validation loss (train.patience)",
                 t->state.step, t->state.evals_since_best);
    else if (t->state.step > stop_at)
        log_note(&r->log, "step %" PRIu64 " is past --stop-at %" PRIu64 ": nothing was trained",
                 t->state.step, stop_at);
    else if (t->state.step < t->config.train.steps)
        log_note(&r->log, "stopped after step %" PRIu64 "; --resume continues from %s",
                 t->state.step, t->last_checkpoint);
    return 0;
}
