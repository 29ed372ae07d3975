/* run_state.h: an open run: the trainer, its directory, logs and saves. */
#pragma once

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
    struct split *val;       /* NULL if there is none, or it has nothing to predict */
    bool measure_now;        /* validation is due, whatever the step */
    double smoothed_at_best; /* training loss when the validation loss was lowest */
    struct log log;
    struct run_log run_log;
    struct run_lock lock;
    struct writer *writer;
    size_t buffer; /* bytes of the writer's buffer; 0: none */

    /* The current save (run_save.h). */
    uint64_t saved_step, saved_micro; /* of the newest snapshot; UINT64_MAX before the first */
    unsigned unwritten;               /* targets not written yet */
    unsigned failures;                /* in a row */
    struct error save_error;          /* of the last failure */
    double retry_at;                  /* seconds() */
    bool not_finite;                  /* refused because of a NaN or an infinity */
    bool requested;                   /* by SIGUSR1: its success is printed */
    bool rotation_failed;             /* a warning has been printed */
    bool postponed;                   /* a checkpoint fell due while steps were being skipped */

    /* Seconds. */
    double stall_s, total_stall_s; /* training waited for saves: since the last metrics; in all */
    double total_log_s;            /* spent on metrics, norms, samples and events */
    double started;
};
