/* run_save.c: see run_save.h. */
#include "train/run_save.h"
#include "base/clock.h"
#include "train/checkpoint/run_directory.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

static const char *last_checkpoint(const struct run *r)
{
    return r->trainer.last_checkpoint[0] ? r->trainer.last_checkpoint : "none yet";
}

/* --- reports --- */

/* Warns about the first of several failures and schedules the next attempt. */
static void handle_failure(struct run *r, const struct error *why)
{
    if (!r->failures)
        log_warn(&r->log,
                 "%s; training continues and the save will be retried; last checkpoint: %s",
                 why->text, last_checkpoint(r));
    r->save_error = *why;
    r->retry_at = seconds() + (r->failures ? fmin(exp2(r->failures - 1), 60) : 0);
    r->failures++;
}

static void handle_written(struct run *r, const struct save_report *report)
{
    r->unwritten &= ~report->written;
    if (report->written & SAVE_ROTATED)
        checkpoint_path(r->trainer.last_checkpoint, r->dir, report->step);
}

static void handle_success(struct run *r, const struct save_report *report)
{
    if (r->failures || r->requested)
        log_note(&r->log, "saved%s: %s, after %.2f s", r->failures ? " at last" : "",
                 report->written & SAVE_ROTATED ? r->trainer.last_checkpoint : "best.h5",
                 report->seconds);
    if (report->rotation_failed && !r->rotation_failed)
        log_warn(&r->log, "%s; older checkpoints are kept", report->err.text);
    r->rotation_failed = report->rotation_failed;
    r->failures = 0;
    r->requested = false;
}

static void poll_writer(struct run *r)
{
    struct save_report report;
    if (writer_poll(r->writer, &report) == SAVE_PENDING)
        return;
    handle_written(r, &report);
    if (report.outcome == SAVE_DONE)
        handle_success(r, &report);
    else if (report.outcome == SAVE_FAILED)
        handle_failure(r, &report.err);
    else {
        log_warn(&r->log, "%s; last checkpoint: %s", report.err.text, last_checkpoint(r));
        r->failures = r->unwritten = 0;
        r->save_error = report.err;
        r->not_finite = true;
    }
}

static void wait_and_poll(struct run *r)
{
    writer_wait(r->writer);
    poll_writer(r);
}

/* --- saving --- */

static bool is_saved(const struct run *r)
{
    return r->saved_step == r->trainer.state.step && r->saved_micro == r->trainer.state.micro;
}

static void set_saved(struct run *r)
{
    r->saved_step = r->trainer.state.step;
    r->saved_micro = r->trainer.state.micro;
}

static int start_save(struct run *r, unsigned targets, struct error *err)
{
    const struct checkpoint c = trainer_checkpoint(&r->trainer);
    r->not_finite = false;
    r->unwritten = targets;
    if (targets & SAVE_ROTATED)
        set_saved(r);
    return writer_save(r->writer, &c, targets, r->log.metrics_path[0] ? r->log.fd : -1, err);
}

static void give_up_best(struct run *r)
{
    log_warn(&r->log, "best.h5 could not be saved and is unchanged: %s", r->save_error.text);
    r->unwritten &= ~SAVE_BEST;
    if (!r->unwritten)
        r->failures = 0;
}

/* Tries once more to write best.h5 before the buffer, which holds the only copy of its weights, is
 * reused. */
static void settle_best(struct run *r)
{
    if (r->unwritten & SAVE_BEST && writer_can_retry(r->writer)) {
        writer_retry(r->writer);
        wait_and_poll(r);
    }
    if (r->unwritten & SAVE_BEST)
        give_up_best(r);
}

void run_save(struct run *r, unsigned targets)
{
    struct error err;
    if (targets == SAVE_ROTATED && is_saved(r) && !(r->failures && r->unwritten & SAVE_ROTATED))
        return;
    const double start = seconds();
    wait_and_poll(r);
    if (!(targets & SAVE_BEST))
        settle_best(r);
    targets |= r->unwritten & SAVE_ROTATED; /* the new snapshot replaces the unwritten one */
    if (start_save(r, targets, &err))
        handle_failure(r, &err);
    else
        poll_writer(r); /* without a buffer, the save has ended */
    const double stall_s = seconds() - start;
    r->stall_s += stall_s;
    r->total_stall_s += stall_s;
}

/* Retries from the snapshot if the writer still has it, otherwise from the run itself, which has
 * the best weights only until the next step. */
static void retry(struct run *r)
{
    if (writer_can_retry(r->writer)) {
        writer_retry(r->writer);
        return;
    }
    if (r->unwritten & SAVE_BEST && r->trainer.state.step != r->trainer.state.best_step)
        give_up_best(r);
    if (r->unwritten)
        run_save(r, r->unwritten);
}

void run_poll_saves(struct run *r)
{
    poll_writer(r);
    if (r->failures && seconds() >= r->retry_at) {
        r->retry_at = INFINITY; /* until the result is known */
        retry(r);
    }
}

int run_save_first(struct run *r, struct error *err)
{
    struct save_report report;
    if (start_save(r, SAVE_ROTATED, err))
        return -1;
    writer_wait(r->writer);
    if (writer_poll(r->writer, &report) != SAVE_DONE)
        return fail(err, "%s", report.err.text);
    handle_written(r, &report);
    handle_success(r, &report);
    return 0;
}

int run_finish_saves(struct run *r, struct error *err)
{
    if (!is_saved(r))
        run_save(r, SAVE_ROTATED);
    wait_and_poll(r);
    for (useconds_t ms = 500; r->failures && ms <= 2000; ms *= 2) {
        usleep(1000 * ms);
        retry(r);
        wait_and_poll(r);
    }
    return r->failures || r->not_finite
               ? fail(err, "%s; last checkpoint: %s", r->save_error.text, last_checkpoint(r))
               : 0;
}

/* --- rolling back --- */

int run_roll_back(struct run *r, struct error *err)
{
    struct trainer *t = &r->trainer;
    const uint64_t from = t->state.step;
    char path[RUN_PATH_MAX];
    wait_and_poll(r);
    settle_best(r);
    if (checkpoint_newest(path, r->dir, true, err) || trainer_roll_back(t, path, err))
        return -1;
    writer_discard(r->writer);
    r->failures = r->unwritten = 0;
    r->postponed = false;
    set_saved(r);
    strcpy(t->last_checkpoint, path);
    const uint64_t to = t->state.step;
    log_note(&r->log,
             "rolling back from step %" PRIu64 " to %s, skipping the batches of %" PRIu64 " steps",
             from, path, from - to);
    return checkpoint_drop_after(r->dir, to, err) || log_cut_after(&r->log, to, err);
}
