/* writer.c: see writer.h. One buffer, so one save at a time: who comes while it is being written waits. */
#include "train/checkpoint/writer.h"
#include "base/clock.h"
#include "base/thread.h"
#include "train/checkpoint/run_folder.h"
#include "train/checkpoint/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct writer {
    char *dir;
    size_t keep;
    unsigned char *buffer; /* that snapshots are copied to; NULL: none */
    size_t capacity;
    struct snapshot snapshot; /* the thread's while `busy` */
    struct verified verified; /* the same */
    pthread_t thread;
    bool running; /* there is a thread */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    bool busy, stop, news;
    bool
        handed; /* the save under way is for the thread to write: who waits may wake without a reason */
    enum save_outcome outcome;
    unsigned missing; /* targets that are not yet written */
    int sync_first;
    double began;
    struct save_report report;
};

/* --- writing: on the thread, or instead of it --- */

static int write_target(struct writer *w, unsigned target, struct error *err)
{
    char path[4096];
    const int status = target == SAVE_BEST
                           ? checkpoint_best_path(w->dir, path, sizeof path, err)
                           : checkpoint_path(w->dir, w->snapshot.step, path, sizeof path, err);
    return status ? status : snapshot_write(&w->snapshot, path, err);
}

/* Only what has come back from the disk counts as one of those that stay. */
static int rotate(struct writer *w, struct error *err)
{
    return verified_add(&w->verified, w->snapshot.step)
               ? fail(err, "%s: out of memory", w->dir)
               : checkpoint_rotate(w->dir, w->keep, w->snapshot.step, &w->verified, err);
}

/* Writes the targets, until one fails. That an older checkpoint cannot be removed fails no save. */
static enum save_outcome write_out(struct writer *w, unsigned targets, struct save_report *report)
{
    const struct extent *wrong;
    struct error *err = &report->err;
    /* Where the metrics cannot be synced the checkpoint is worth the more. */
    if (w->sync_first >= 0)
        (void)fdatasync(w->sync_first);
    snapshot_seal(&w->snapshot);
    if ((wrong = w->snapshot.not_finite)) {
        fail(err,
             "%s: the weights of step %llu are not saved: %.*s holds a number that is not finite",
             w->dir, (unsigned long long)w->snapshot.step, (int)strcspn(wrong->line + 10, "\n"),
             wrong->line + 10);
        return SAVE_NOT_FINITE;
    }
    for (unsigned target = SAVE_ROTATED; target <= SAVE_BEST; target <<= 1) {
        if (!(targets & target))
            continue;
        if (write_target(w, target, err))
            return SAVE_FAILED;
        report->written |= target;
        if (target == SAVE_ROTATED)
            report->unrotated = rotate(w, err) != 0;
    }
    return SAVE_DONE;
}

/* Called with the mutex held, which it gives back meanwhile. */
static void write_unlocked(struct writer *w)
{
    struct save_report report = {.step = w->snapshot.step};
    const unsigned targets = w->missing;
    pthread_mutex_unlock(&w->mutex);
    const enum save_outcome outcome = write_out(w, targets, &report);
    pthread_mutex_lock(&w->mutex);
    w->missing = outcome == SAVE_NOT_FINITE ? 0 : targets & ~report.written;
    w->outcome = outcome;
    report.seconds = seconds() - w->began;
    w->report = report;
    w->busy = false;
    w->news = true;
    pthread_cond_broadcast(&w->changed);
}

static void *work(void *writer)
{
    struct writer *w = writer;
    pthread_mutex_lock(&w->mutex);
    for (;;) {
        while (!w->handed && !w->stop)
            pthread_cond_wait(&w->changed, &w->mutex);
        if (!w->handed)
            break;
        w->handed = false;
        write_unlocked(w);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

/* --- opening and closing --- */

/* Page faults in the middle of a run would cost more than the copy: every page is touched here. */
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

static int start_thread(struct writer *w, struct error *err)
{
    const int e = thread_start(&w->thread, work, w);
    w->running = e == 0;
    return e ? fail(err, "%s: cannot start a thread to write checkpoints: %s", w->dir, strerror(e))
             : 0;
}

struct writer *writer_open(const char *dir, size_t keep, size_t buffer, uint64_t known,
                           struct error *err)
{
    struct writer *w = calloc(1, sizeof *w);
    if (!w) {
        fail(err, "%s: out of memory", dir);
        return NULL;
    }
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->changed, NULL);
    w->keep = keep;
    w->snapshot.image.file = -1;
    int status =
        (w->dir = strdup(dir)) && (known == UINT64_MAX || !verified_add(&w->verified, known))
            ? 0
            : fail(err, "%s: out of memory", dir);
    status = status || (buffer && (allocate(w, buffer, err) || start_thread(w, err)));
    if (status) {
        writer_close(w);
        return NULL;
    }
    return w;
}

/* Frees what the snapshot has, but for the buffer. */
static void forget(struct writer *w)
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
    if (w->running) {
        pthread_mutex_lock(&w->mutex);
        w->stop = true;
        pthread_cond_broadcast(&w->changed);
        pthread_mutex_unlock(&w->mutex);
        pthread_join(w->thread, NULL);
    }
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->mutex);
    forget(w);
    free(w->buffer);
    verified_clear(&w->verified);
    free(w->dir);
    free(w);
}

/* --- the training thread's side --- */

static void wait_idle(struct writer *w)
{
    while (w->busy)
        pthread_cond_wait(&w->changed, &w->mutex);
}

void writer_wait(struct writer *w)
{
    pthread_mutex_lock(&w->mutex);
    wait_idle(w);
    pthread_mutex_unlock(&w->mutex);
}

bool writer_holds(struct writer *w)
{
    pthread_mutex_lock(&w->mutex);
    const bool holds = !w->busy && w->missing && w->snapshot.copied;
    pthread_mutex_unlock(&w->mutex);
    return holds;
}

/* Called with the mutex held. */
static void begin(struct writer *w)
{
    w->busy = true;
    w->news = false;
    w->handed = w->snapshot.copied;
    if (w->handed)
        pthread_cond_broadcast(&w->changed);
    else
        write_unlocked(w);
}

void writer_retry(struct writer *w)
{
    pthread_mutex_lock(&w->mutex);
    wait_idle(w);
    if (w->missing)
        begin(w);
    pthread_mutex_unlock(&w->mutex);
}

void writer_drop(struct writer *w)
{
    pthread_mutex_lock(&w->mutex);
    wait_idle(w);
    w->missing = 0;
    w->news = false;
    pthread_mutex_unlock(&w->mutex);
}

/* Nobody else touches the snapshot while the writer is idle. What does not fit the buffer, a step in hand with its gradients, is
 * written from where it is. */
static int take_snapshot(struct writer *w, const struct checkpoint *c, struct error *err)
{
    struct h5_image *image = &w->snapshot.image;
    const bool fits = w->buffer && checkpoint_size(c) <= w->capacity;
    forget(w);
    if (fits) {
        image->bytes = w->buffer;
        image->capacity = w->capacity;
        w->buffer = NULL; /* the image may move it while it is open, and frees it where it fails */
    }
    if (checkpoint_lay_out(&w->snapshot, c, w->dir, err)) {
        forget(w);
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
    pthread_mutex_lock(&w->mutex);
    wait_idle(w);
    w->missing = 0;
    const double began = seconds();
    const int status = take_snapshot(w, c, err);
    if (!status) {
        w->missing = targets;
        w->sync_first = sync_first;
        w->began = began;
        begin(w);
    }
    pthread_mutex_unlock(&w->mutex);
    return status;
}

enum save_outcome writer_poll(struct writer *w, struct save_report *report)
{
    pthread_mutex_lock(&w->mutex);
    const enum save_outcome outcome = w->news ? w->outcome : SAVE_PENDING;
    w->news = false;
    *report = w->report;
    pthread_mutex_unlock(&w->mutex);
    return outcome;
}
