/* writer.c: see writer.h. There is one buffer and so one save at a time, on a separate thread
 * that is joined before the training thread uses anything the two share. */
#include "train/checkpoint/writer.h"
#include "base/clock.h"
#include "base/thread.h"
#include "train/checkpoint/run_directory.h"
#include "train/checkpoint/snapshot.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct writer {
    char *dir;
    size_t keep;
    unsigned char *buffer; /* for copied snapshots; NULL: none */
    size_t capacity;
    pthread_t thread;
    bool running;         /* the thread must be joined */
    atomic_bool finished; /* the thread has nothing left to do */

    /* Used by the thread while it runs. */
    struct snapshot snapshot;
    struct verified verified;
    unsigned targets; /* not yet written */
    int sync_first;
    double began;
    struct save_report report; /* of the last save; its outcome is SAVE_PENDING once polled */
};

/* --- writing --- */

static int write_target(struct writer *w, unsigned target, struct error *err)
{
    char path[RUN_PATH_MAX];
    return snapshot_write(&w->snapshot,
                          target == SAVE_BEST ? run_path(path, w->dir, "best.h5")
                                              : checkpoint_path(path, w->dir, w->snapshot.step),
                          err);
}

static int rotate(struct writer *w, struct error *err)
{
    return verified_add(&w->verified, w->snapshot.step)
               ? fail(err, "%s: out of memory", w->dir)
               : checkpoint_rotate(w->dir, w->keep, w->snapshot.step, &w->verified, err);
}

/* Writes the targets until one fails. A failed rotation does not fail the save. */
static enum save_outcome write_targets(struct writer *w, struct save_report *report)
{
    struct error *err = &report->err;
    const struct extent *e;
    if (w->sync_first >= 0)
        (void)fdatasync(w->sync_first); /* on failure the checkpoint is saved nevertheless */
    snapshot_seal(&w->snapshot);
    if ((e = w->snapshot.not_finite)) {
        fail(err, "%s: step %" PRIu64 " is not saved: %s/%s contains a number that is not finite",
             w->dir, w->snapshot.step, e->group, e->name);
        w->targets = 0;
        return SAVE_NOT_FINITE;
    }
    for (unsigned target = SAVE_ROTATED; target <= SAVE_BEST; target <<= 1) {
        if (!(w->targets & target))
            continue;
        if (write_target(w, target, err))
            return SAVE_FAILED;
        w->targets &= ~target;
        report->written |= target;
        if (target == SAVE_ROTATED)
            report->rotation_failed = rotate(w, err) != 0;
    }
    return SAVE_DONE;
}

static void *run(void *writer)
{
    struct writer *w = writer;
    w->report = (struct save_report){.step = w->snapshot.step};
    w->report.outcome = write_targets(w, &w->report);
    w->report.seconds = seconds() - w->began;
    w->finished = true;
    return NULL;
}

/* Writes on a thread if the snapshot is a copy and a thread can be started, otherwise at once. */
static void start(struct writer *w)
{
    w->finished = false;
    w->running = w->snapshot.copied && !thread_start(&w->thread, run, w);
    if (!w->running)
        run(w);
}

/* --- opening and closing --- */

/* Touches every page: page faults during the run would take longer than the copy. */
static int allocate(struct writer *w, size_t size, struct error *err)
{
    enum { HUGE = 2 << 20, PAGE = 4096 };
    unsigned char *bytes = aligned_alloc(HUGE, (size + HUGE - 1) / HUGE * HUGE);
    if (!bytes)
        return fail(err, "%s: no memory for a copy of the run of %zu bytes", w->dir, size);
    madvise(bytes, size, MADV_HUGEPAGE);
#pragma omp parallel for
    for (size_t i = 0; i < size; i += PAGE)
        bytes[i] = 0;
    w->buffer = bytes;
    w->capacity = size;
    return 0;
}

struct writer *writer_open(const char *dir, size_t keep, size_t buffer, uint64_t verified,
                           struct error *err)
{
    struct writer *w = calloc(1, sizeof *w);
    if (!w) {
        fail(err, "%s: out of memory", dir);
        return NULL;
    }
    w->keep = keep;
    w->snapshot.image.file = -1;
    w->dir = strdup(dir);
    if (!w->dir || (verified != UINT64_MAX && verified_add(&w->verified, verified)))
        fail(err, "%s: out of memory", dir);
    else if (!buffer || !allocate(w, buffer, err))
        return w;
    writer_close(w);
    return NULL;
}

/* Frees the snapshot, but not the buffer. */
static void clear_snapshot(struct writer *w)
{
    if (w->snapshot.image.bytes == w->buffer)
        w->snapshot.image = (struct h5_image){.file = -1};
    snapshot_clear(&w->snapshot);
    h5_image_free(&w->snapshot.image);
}

void writer_close(struct writer *w)
{
    if (!w)
        return;
    writer_wait(w);
    clear_snapshot(w);
    free(w->buffer);
    verified_clear(&w->verified);
    free(w->dir);
    free(w);
}

/* --- called by the training thread --- */

void writer_wait(struct writer *w)
{
    if (w->running)
        pthread_join(w->thread, NULL);
    w->running = false;
}

bool writer_can_retry(const struct writer *w)
{
    return !w->running && w->targets && w->snapshot.copied;
}

void writer_retry(struct writer *w)
{
    writer_wait(w);
    if (w->targets)
        start(w);
}

void writer_discard(struct writer *w)
{
    writer_wait(w);
    w->targets = 0;
    w->report.outcome = SAVE_PENDING;
}

/* Takes a snapshot. One that does not fit into the buffer, as with the gradients of a step in
 * progress, is written from the arrays of the run. */
static int take_snapshot(struct writer *w, const struct checkpoint *c, struct error *err)
{
    struct h5_image *image = &w->snapshot.image;
    const bool fits = w->buffer && checkpoint_size(c) <= w->capacity;
    clear_snapshot(w);
    if (fits) {
        image->bytes = w->buffer;
        image->capacity = w->capacity;
        w->buffer = NULL; /* while open, the image may move the buffer; on failure it frees it */
    }
    if (snapshot_lay_out(&w->snapshot, c, w->dir, err)) {
        clear_snapshot(w);
        return -1;
    }
    if (fits) {
        w->buffer = image->bytes;
        w->capacity = image->capacity;
        snapshot_copy(&w->snapshot);
    }
    return 0;
}

int writer_save(struct writer *w, const struct checkpoint *c, unsigned targets, int sync_first,
                struct error *err)
{
    writer_discard(w);
    w->began = seconds();
    if (take_snapshot(w, c, err))
        return -1;
    w->targets = targets;
    w->sync_first = sync_first;
    start(w);
    return 0;
}

enum save_outcome writer_poll(struct writer *w, struct save_report *report)
{
    if (w->running && !w->finished) {
        report->outcome = SAVE_PENDING;
        return SAVE_PENDING;
    }
    writer_wait(w);
    *report = w->report;
    w->report.outcome = SAVE_PENDING;
    return report->outcome;
}
