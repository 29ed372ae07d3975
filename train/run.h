/* run.h: the loop around the steps: evaluation, checkpoints, the log, and stopping. */
#ifndef RUN_H
#define RUN_H

#include "../data/split.h"
#include "log.h"
#include "trainer.h"

struct run {
    struct trainer trainer;
    char dir[CONFIG_PATH_MAX];
    struct split *val; /* NULL where the data has none, or nothing in it to predict */
    struct log log;
    uint64_t saved_step, saved_micro; /* what the newest checkpoint holds; UINT64_MAX before the first */
};

enum run_start { RUN_FRESH, RUN_RESUME };

/* Makes or reopens the run folder and all that the run needs. init, a checkpoint whose weights a fresh run begins with, may be
 * NULL. On failure nothing is left open. */
int run_open(struct run *r, const struct config *config, const char *dir, enum run_start start, const char *init,
             struct error *err);
void run_close(struct run *r);

/* Trains until stop_at steps are done, or a signal asks to stop, and saves. */
int run_train(struct run *r, uint64_t stop_at, struct error *err);

#endif
