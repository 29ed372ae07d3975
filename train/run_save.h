/* run_save.h: what a run does with its checkpoints: hands them over, watches what becomes of them, goes back to one. */
#ifndef RUN_SAVE_H
#define RUN_SAVE_H

#include "train/run.h"

/* Opens the writer; `known` is the step of a checkpoint that was read. */
int run_open_writer(struct run *r, size_t buffer, uint64_t known, struct error *err);
/* Hands the run as it is to the writer, as SAVE_ROTATED, SAVE_BEST or both. A failure is told by run_watch_saves, and ends no run:
 * the file before stays, and the save is tried again, at the next step, then after 1, 2, 4, … 60 seconds. */
void run_save(struct run *r, unsigned targets);
/* Says what became of saves, and tries failed ones again. Between micro-steps. */
void run_watch_saves(struct run *r);
/* Saves what is not saved yet and waits for it; a failure is tried again for some seconds, and then is an error. */
int run_finish_saves(struct run *r, struct error *err);
/* Saves the run as it is and waits for it, without another try: while it opens. */
int run_save_first(struct run *r, struct error *err);

/* Back to the last checkpoint from before the trouble; what was measured and saved since is dropped. */
int run_roll_back(struct run *r, struct error *err);

#endif
