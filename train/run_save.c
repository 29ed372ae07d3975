/* run_save.c: see run_save.h. */
#include "train/run_save.h"
#include "base/clock.h"
#include "train/checkpoint/run_folder.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const double LONGEST_WAIT = 60; /* seconds between tries */

int run_open_writer(struct run *r, size_t buffer, uint64_t known, struct error *err)
{
    r->writer = writer_open(r->dir, r->trainer.config.train.keep, buffer, known, err);
    return r->writer ? 0 : -1;
}

static const char *last_checkpoint(const struct run *r)
{
    return r->trainer.last_checkpoint[0] ? r->trainer.last_checkpoint : "none yet";
}

/* --- reports --- */

/* Said once, however often it fails. */
static void take_failure(struct run *r, const struct error *why)
{
    if (!r->failures)
        log_warn(&r->log, "%s; training goes on and it is tried again; last checkpoint: %s",
                 why->text, last_checkpoint(r));
    const double wait = r->failures ? (double)(1u << (r->failures < 7 ? r->failures - 1 : 6)) : 0;
    r->save_error = *why;
    r->failures++;
    r->retry_at = seconds() + (wait < LONGEST_WAIT ? wait : LONGEST_WAIT);
}

/* Also of a save that failed with the other file. */
static void take_written(struct run *r, const struct save_report *report)
{
    struct trainer *t = &r->trainer;
    struct error ignored;
    r->missing &= ~report->written;
    if (report->written & SAVE_ROTATED)
        checkpoint_path(r->dir, report->step, t->last_checkpoint, sizeof t->last_checkpoint,
                        &ignored);
}

static void take_success(struct run *r, const struct save_report *report)
{
    if (r->failures || r->announce)
        log_note(&r->log, "saved%s: %s, %.2f s after it was asked for",
                 r->failures ? " after all" : "",
                 report->written & SAVE_ROTATED ? r->trainer.last_checkpoint : "best.h5",
                 report->seconds);
    if (report->unrotated && !r->unrotated)
        log_warn(&r->log, "%s; older checkpoints stay", report->err.text);
    r->unrotated = report->unrotated;
    r->failures = 0;
    r->announce = false;
    r->saves++;
}

static void take_report(struct run *r)
{
    struct save_report report;
    const enum save_outcome outcome = writer_poll(r->writer, &report);
    if (outcome != SAVE_PENDING)
        take_written(r, &report);
    switch (outcome) {
    case SAVE_PENDING:
        break;
    case SAVE_DONE:
        take_success(r, &report);
        break;
    case SAVE_FAILED:
        take_failure(r, &report.err);
        break;
    case SAVE_NOT_FINITE:
        log_warn(&r->log, "%s; last checkpoint: %s", report.err.text, last_checkpoint(r));
        r->failures = r->missing = 0;
        r->save_error = report.err;
        r->not_finite = true;
    }
}

/* --- saving --- */

static bool is_saved(const struct run *r)
{
    return r->saved_step == r->trainer.state.step && r->saved_micro == r->trainer.state.micro;
}

static void lose_best(struct run *r)
{
    log_warn(&r->log, "best.h5 could not be saved, and stays what it was: %s", r->save_error.text);
    r->missing &= ~SAVE_BEST;
    if (!r->missing)
        r->failures = 0;
}

/* The best weights are nowhere but in the buffer, which is about to be used again: one more try. */
static void settle_best(struct run *r)
{
    if (!(r->missing & SAVE_BEST))
        return;
    if (writer_holds(r->writer)) {
        writer_retry(r->writer);
        writer_wait(r->writer);
        take_report(r);
    }
    if (r->missing & SAVE_BEST)
        lose_best(r);
}

void run_save(struct run *r, unsigned targets)
{
    struct trainer *t = &r->trainer;
    struct error err;
    if (targets == SAVE_ROTATED && is_saved(r) && !(r->failures && r->missing & SAVE_ROTATED))
        return;
    const double start = seconds();
    writer_wait(r->writer);
    take_report(r);
    if (!(targets & SAVE_BEST))
        settle_best(r);
    targets |= r->missing & SAVE_ROTATED; /* which this one is newer than */
    const struct checkpoint c = trainer_checkpoint(t);
    r->not_finite = false;
    r->missing = targets;
    if (targets & SAVE_ROTATED) {
        r->saved_step = t->state.step;
        r->saved_micro = t->state.micro;
    }
    if (writer_save(r->writer, &c, targets, r->log.metrics_path[0] ? r->log.fd : -1, &err))
        take_failure(r, &err);
    else
        take_report(r); /* of a writer without a thread */
    r->stall_s += seconds() - start;
    r->total_stall_s += seconds() - start;
}

/* Again: the same snapshot where it is still there, a new one where not, which is the best's as long as no step follows it. */
static void try_again(struct run *r)
{
    if (writer_holds(r->writer)) {
        writer_retry(r->writer);
        return;
    }
    if (r->missing & SAVE_BEST && r->trainer.state.step != r->trainer.state.best_step)
        lose_best(r);
    if (r->missing)
        run_save(r, r->missing);
}

void run_watch_saves(struct run *r)
{
    take_report(r);
    if (r->failures && seconds() >= r->retry_at) {
        r->retry_at = INFINITY; /* until it is told what became of it */
        try_again(r);
    }
}

int run_save_first(struct run *r, struct error *err)
{
    struct save_report report;
    const struct checkpoint c = trainer_checkpoint(&r->trainer);
    if (writer_save(r->writer, &c, SAVE_ROTATED, -1, err))
        return -1;
    writer_wait(r->writer);
    if (writer_poll(r->writer, &report) != SAVE_DONE)
        return fail(err, "%s", report.err.text);
    take_written(r, &report);
    take_success(r, &report);
    r->saved_step = r->trainer.state.step;
    r->saved_micro = r->trainer.state.micro;
    return 0;
}

int run_finish_saves(struct run *r, struct error *err)
{
    if (!is_saved(r))
        run_save(r, SAVE_ROTATED);
    writer_wait(r->writer);
    take_report(r);
    for (double wait = 0.5; r->failures && wait < 4; wait *= 2) {
        const struct timespec pause = {(time_t)wait, (long)(1e9 * (wait - (double)(time_t)wait))};
        nanosleep(&pause, NULL);
        try_again(r);
        writer_wait(r->writer);
        take_report(r);
    }
    return r->failures || r->not_finite
               ? fail(err, "%s; last checkpoint: %s", r->save_error.text, last_checkpoint(r))
               : 0;
}

/* --- going back --- */

int run_roll_back(struct run *r, struct error *err)
{
    struct trainer *t = &r->trainer;
    const uint64_t from = t->state.step;
    char path[CONFIG_PATH_MAX + 32];
    writer_wait(r->writer);
    take_report(r);
    settle_best(r);
    if (checkpoint_last_good(r->dir, path, sizeof path, err))
        return -1;
    if (trainer_roll_back(t, path, err))
        return -1;
    writer_drop(r->writer); /* what could not be saved yet is of a time that will not have been */
    r->failures = r->missing = 0;
    const uint64_t to = t->state.step;
    log_note(&r->log, "goes back from step %llu to %s, and jumps over the batches of %llu steps",
             (unsigned long long)from, path, (unsigned long long)(from - to));
    r->saved_step = to;
    r->saved_micro = t->state.micro;
    r->owed = false;
    snprintf(t->last_checkpoint, sizeof t->last_checkpoint, "%s", path);
    return checkpoint_drop_after(r->dir, to, err) || log_cut_after(&r->log, to, err) ? -1 : 0;
}
