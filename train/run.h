/* run.h: the training loop: steps, evaluation, checkpoints, logs, and stopping on signals. */
#pragma once

#include "train/run_state.h"

struct run_plan {
    const char *dir;
    bool resumes;     /* continues the run in dir */
    const char *init; /* a checkpoint with the initial weights of a fresh run, or NULL */
    const struct allowed *allowed; /* what a resumed run may have changed */
};

/* Creates or reopens the run directory and everything the run needs. On failure nothing is left
 * open. */
int run_open(struct run *r, const struct config *config, const struct run_plan *plan,
             struct error *err);
void run_close(struct run *r);

/* Trains until stop_at steps are done or a signal requests a stop, then saves. */
int run_train(struct run *r, uint64_t stop_at, struct error *err);
