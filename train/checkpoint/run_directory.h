/* run_directory.h: the files of a run directory, above all its checkpoints: ckpt-STEP.h5, rotated,
 * and best.h5. */
#pragma once

#include "base/error.h"
#include "train/config/config.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The path of any file in a run directory, whose own path has less than CONFIG_PATH_MAX bytes. */
enum { RUN_PATH_MAX = CONFIG_PATH_MAX + 257 };
/* RUN_DIR/NAME and RUN_DIR/ckpt-STEP.h5. Returns path. */
char *run_path(char path[RUN_PATH_MAX], const char *run_dir, const char *name);
char *checkpoint_path(char path[RUN_PATH_MAX], const char *run_dir, uint64_t step);

/* Finds the newest ckpt-STEP.h5 that can be read, or with `good_only` the newest that was not saved
 * while steps were being skipped. Names the newer ones that it rejects on stderr. */
int checkpoint_newest(char path[RUN_PATH_MAX], const char *run_dir, bool good_only,
                      struct error *err);
/* The checkpoint that a path names: of a run directory best.h5, or if there is none, the newest
 * checkpoint, which is then named on stderr. Any other path names itself. NULL on error. */
const char *checkpoint_of(char path[RUN_PATH_MAX], const char *name, struct error *err);
/* Whether there is a ckpt-STEP.h5 after this step; if so, path is that of the newest, which may be
 * damaged. */
bool checkpoint_after(char path[RUN_PATH_MAX], const char *run_dir, uint64_t step);

/* The steps whose ckpt-STEP.h5 this process has read back and verified. */
struct verified {
    uint64_t *steps;
    size_t n;
};
int verified_add(struct verified *v, uint64_t step); /* -1 if out of memory */
void verified_clear(struct verified *v);

/* Removes checkpoints older than the newest `keep` (at least 1) that verify, up to `step`, the last
 * of the run. Verified are those in *v, and others whose checksums are now found to be correct,
 * which are added to *v. A damaged file, or one of a later step, which does not belong to this
 * run's past, therefore never displaces a good one. Also removes temporary files left behind by a
 * process that was killed. */
int checkpoint_rotate(const char *run_dir, size_t keep, uint64_t step, struct verified *v,
                      struct error *err);
/* Removes the checkpoints after a step. */
int checkpoint_drop_after(const char *run_dir, uint64_t step, struct error *err);
