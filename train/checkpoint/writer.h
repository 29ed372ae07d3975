/* writer.h: writes checkpoints while training continues.
 *
 * The training thread copies the run into a buffer whose pages were touched before training began
 * (snapshot_lay_out, snapshot_copy). A thread then does the rest without calling HDF5: checksums,
 * temporary file, write, fsync, read back, rename, fsync of the directory, rotation. Without a
 * buffer, if memory is short, writer_save does all of this before it returns. */
#pragma once

#include "base/error.h"
#include "train/checkpoint/checkpoint.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct writer;

/* Targets, which can be combined: DIR/ckpt-STEP.h5, DIR/best.h5. */
enum { SAVE_ROTATED = 1, SAVE_BEST = 2 };

enum save_outcome {
    SAVE_PENDING,    /* nothing to report */
    SAVE_DONE,       /* on the disk and verified */
    SAVE_FAILED,     /* the previous file is unchanged */
    SAVE_NOT_FINITE, /* refused: a weight or moment is NaN or infinite */
};

struct save_report {
    enum save_outcome outcome;
    uint64_t step;
    unsigned written;     /* targets; may be some of them if the save failed */
    double seconds;       /* since writer_save was called */
    bool rotation_failed; /* older checkpoints could not be removed; err says why */
    struct error err;
};

/* Opens a writer for the run directory `dir` that keeps the newest `keep` checkpoints and allocates
 * a buffer of `buffer` bytes (0: none). `verified`: the step of a checkpoint known to be good, or
 * UINT64_MAX. */
struct writer *writer_open(const char *dir, size_t keep, size_t buffer, uint64_t verified,
                           struct error *err);
/* Waits for the save in progress. */
void writer_close(struct writer *w);

/* Waits for the save in progress, takes a snapshot and starts writing it to the targets. Before
 * that, syncs the file descriptor `sync_first` unless it is -1: the metrics on the disk must not be
 * older than the checkpoint. -1 if no snapshot could be taken; later errors are reported by
 * writer_poll. */
int writer_save(struct writer *w, const struct checkpoint *c, unsigned targets, int sync_first,
                struct error *err);
/* Reports how a save ended, once; SAVE_PENDING otherwise. */
enum save_outcome writer_poll(struct writer *w, struct save_report *report);
/* Waits for the save in progress, if any. */
void writer_wait(struct writer *w);
/* Whether the snapshot of a failed save is still in the buffer, so that writer_retry can write
 * it. */
bool writer_can_retry(const struct writer *w);
void writer_retry(struct writer *w);
/* Waits, then discards the snapshot: the run has been rolled back to an earlier step. */
void writer_discard(struct writer *w);
