/* run.h: the loop around the steps: evaluation, checkpoints, the log, and stopping. */
#ifndef RUN_H
#define RUN_H

#include "data/split.h"
#include "train/checkpoint/writer.h"
#include "train/log.h"
#include "train/resume.h"
#include "train/run_lock.h"
#include "train/run_log.h"
#include "train/trainer.h"

struct run {
    struct trainer trainer;
    char dir[CONFIG_PATH_MAX];
    struct split *val; /* NULL where the data has none, or nothing in it to predict */
    struct log log;
    struct run_log run_log;
    struct run_lock lock;
    struct writer *writer;
    uint64_t saved_step, saved_micro; /* of the newest snapshot; UINT64_MAX before the first */
    unsigned failures;                /* of the save in hand, so far */
    struct error save_error;          /* the last of them */
    double retry_at;                  /* on the clock of seconds() */
    unsigned missing;                 /* targets of that save which are not yet written */
    bool not_finite;                  /* the last snapshot was refused for it */
    bool announce;                    /* the next one that is saved: somebody asked for it */
    bool unrotated;                   /* older checkpoints could not be removed, which was said */
    bool owed;                        /* a checkpoint that fell due while steps were skipped */
    uint64_t saves;
    double stall_s,
        total_stall_s; /* that training waited for them: since the last line of metrics, and in all */
    double total_log_s; /* that it spent on metrics, norms, samples and events */
    double started;
    size_t buffer; /* bytes of the writer's copy; 0: none */
};

enum run_start { RUN_FRESH, RUN_RESUME };

struct run_plan {
    const char *dir;
    enum run_start start;
    const char *init;              /* a checkpoint whose weights a fresh run begins with, or NULL */
    const struct allowed *allowed; /* what may have changed since a run that is resumed */
};

/* Makes or reopens the run folder and all that the run needs. On failure nothing is left open. */
int run_open(struct run *r, const struct config *config, const struct run_plan *plan,
             struct error *err);
void run_close(struct run *r);

/* Trains until stop_at steps are done, or a signal asks to stop, and saves. */
int run_train(struct run *r, uint64_t stop_at, struct error *err);

#endif
