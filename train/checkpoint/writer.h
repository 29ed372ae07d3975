/* writer.h: puts checkpoints on the disk while training goes on.
 *
 * The training thread copies the run into a buffer that was touched before the run began (checkpoint_lay_out, snapshot_copy);
 * a thread of the writer's does the rest, without a call to HDF5: checksums, a temporary name, write, fsync, read back, rename,
 * fsync of the folder, rotation. Without a buffer, where memory is short, everything is done before writer_save returns. */
#ifndef WRITER_H
#define WRITER_H

#include "base/error.h"
#include "train/checkpoint/checkpoint.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct writer;

enum { SAVE_ROTATED = 1, SAVE_BEST = 2 }; /* DIR/ckpt-STEP.h5; DIR/best.h5 */

enum save_outcome {
    SAVE_PENDING, /* nothing new */
    SAVE_DONE,    /* on the disk, verified */
    SAVE_FAILED, /* the file before stands as it was, and writer_retry may succeed, where there is a buffer */
    SAVE_NOT_FINITE /* refused: a weight or moment is NaN or Inf */
};

struct save_report {
    uint64_t step;
    unsigned written; /* targets: also where another failed */
    double seconds;   /* from writer_save on */
    bool unrotated;   /* it was saved, but older ones could not be removed: err says why */
    struct error err;
};

/* A writer for the run folder `dir`, that keeps the newest `keep` checkpoints. `buffer` bytes are allocated and touched; 0: none.
 * `known`, the step of a checkpoint that was verified before, or UINT64_MAX. */
struct writer *writer_open(const char *dir, size_t keep, size_t buffer, uint64_t known,
                           struct error *err);
/* Waits for what is being written. */
void writer_close(struct writer *w);

/* Takes a snapshot, after waiting for the save before, and begins to write it to all targets. Before the first byte the file
 * `sync_first` is synced, where it is not -1: the metrics, which may not be behind a checkpoint. Returns -1 where no snapshot
 * could be taken; all else is writer_poll's to tell. */
int writer_save(struct writer *w, const struct checkpoint *c, unsigned targets, int sync_first,
                struct error *err);
/* What became of it; told once. */
enum save_outcome writer_poll(struct writer *w, struct save_report *report);
/* Waits until there is something to poll, if anything is being written. */
void writer_wait(struct writer *w);
/* Whether a failed save is still in the buffer; writes it again. */
bool writer_holds(struct writer *w);
void writer_retry(struct writer *w);
/* Waits, and forgets what is still in the buffer: the run has gone back to before it. */
void writer_drop(struct writer *w);

#endif
