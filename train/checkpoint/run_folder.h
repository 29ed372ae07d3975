/* run_folder.h: the checkpoints of a run folder: ckpt-STEP.h5, rotated, and best.h5. */
#ifndef RUN_FOLDER_H
#define RUN_FOLDER_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* RUN_DIR/ckpt-STEP.h5 and RUN_DIR/best.h5. */
int checkpoint_path(const char *run_dir, uint64_t step, char *path, size_t size, struct error *err);
int checkpoint_best_path(const char *run_dir, char *path, size_t size, struct error *err);

/* The newest ckpt-STEP.h5 in a run folder that verifies, into path. Newer ones that do not are named on stderr and passed over. */
int checkpoint_newest(const char *run_dir, char *path, size_t size, struct error *err);
/* The same among those that were not saved while steps were being skipped. */
int checkpoint_last_good(const char *run_dir, char *path, size_t size, struct error *err);
/* Whether there is a ckpt-STEP.h5 of a step after this one; the newest, whatever it holds, into path. */
bool checkpoint_after(const char *run_dir, uint64_t step, char *path, size_t size);

/* The steps whose ckpt-STEP.h5 this process has read back whole. */
struct verified {
    uint64_t *steps;
    size_t n;
};
int verified_add(struct verified *v, uint64_t step); /* -1 where memory is short */
void verified_clear(struct verified *v);

/* Of the checkpoints up to `step`, the run's last, removes what is older than the newest `keep` (at least 1) that verify: those of *v, and
 * others whose user block and checksum are found to be right, which are added to it. So neither a damaged file nor one of a later step, which
 * is not of this run's past, ever takes the place of a good one. Removes temporary files of a writer that was killed, too. */
int checkpoint_rotate(const char *run_dir, size_t keep, uint64_t step, struct verified *v,
                      struct error *err);
/* Removes those that are newer than a step. */
int checkpoint_drop_after(const char *run_dir, uint64_t step, struct error *err);

#endif
