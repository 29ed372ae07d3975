/* run_save.h: saving a run, retrying failed saves, and rolling back to a checkpoint. */
#pragma once

#include "train/run_state.h"

/* Starts saving the current state to SAVE_ROTATED, SAVE_BEST or both. A failure does not end the
 * run: the previous file remains, and the save is retried at the next micro-step, then after 1, 2,
 * 4, … 60 seconds. */
void run_save(struct run *r, unsigned targets);
/* Prints how saves ended and retries failed ones. To be called between micro-steps. */
void run_poll_saves(struct run *r);
/* Saves what has not been saved and waits. A failure is retried for 3.5 seconds, then returned. */
int run_finish_saves(struct run *r, struct error *err);
/* Saves the current state, waits, and returns a failure without retrying: while the run is being
 * opened. */
int run_save_first(struct run *r, struct error *err);

/* Goes back to the last checkpoint saved before steps were skipped, and drops later metrics and
 * checkpoints. */
int run_roll_back(struct run *r, struct error *err);
