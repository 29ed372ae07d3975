/* run_log.h: records of a run besides its metrics, for reports and viewers: starts.jsonl,
 * tensors.jsonl, samples.jsonl (docs/file-formats.md), and event files for TensorBoard. Nothing
 * here changes the training, and no error here stops it.
 */
#pragma once

#include "base/jsonl.h"
#include "train/events.h"
#include "train/trainer.h"

/* All zero: closed. */
struct run_log {
    struct jsonl starts, tensors, samples;
    struct events events;
    uint64_t last_step;     /* recorded */
    double opened, norms_s; /* seconds(); spent on tensors.jsonl */
};

/* Opens the files to continue after the trainer's step; at step 0, empty files. The trainer must
 * have been started. */
int run_log_open(struct run_log *l, const char *run_dir, const struct trainer *t,
                 struct error *err);
void run_log_close(struct run_log *l);

/* Records a finished step while its gradients are still available. If it is not later than
 * the last recorded step, the run has been rolled back, and the records of later steps are
 * removed. Returns the beginning of a sample, as a JSON string, if one was due; the caller frees
 * it. */
char *run_log_step(struct run_log *l, const struct trainer *t);
