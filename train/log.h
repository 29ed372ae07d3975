/* log.h: the progress of a run: messages and a progress line on the terminal, and metrics.jsonl. */
#pragma once

#include "train/checkpoint/run_directory.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* One finished step. */
struct step_metrics {
    uint64_t step;   /* from 1 */
    uint64_t tokens; /* read by all steps so far */
    double loss, smoothed_loss, lr, grad_norm;
    double tokens_per_s; /* of the part of the step that this process did */
    double mfu;          /* of the same: model FLOP/s as a share of products_peak (peak.h) */
    double stall_s;      /* seconds training waited for checkpoints since the previous step */
    const char *skipped; /* why the weights did not change: "loss", "grad_norm", "spike"; or NULL */
    uint64_t rolled_back_from,
        batches_skipped; /* if the run was rolled back to the previous step */
};

struct log {
    int fd; /* of metrics.jsonl */
    char metrics_path[RUN_PATH_MAX];
    off_t end;     /* of the lines in metrics.jsonl */
    char *pending; /* lines that could not be written yet */
    size_t pending_size;
    size_t last_size;      /* of the last line, written or pending; 0: none */
    bool failing;          /* the last write failed */
    bool terminal;         /* stdout is a terminal */
    bool line_shown;       /* the progress line is on it */
    uint64_t steps, every; /* of the run; between progress lines if stdout is not a terminal */
    /* The end of this process's first step, which takes longer than others; both 0 before. */
    uint64_t first_step;
    double first_end; /* seconds() */
};

/* Opens RUN/metrics.jsonl to continue after `step`. Lines of later steps, left by a run that was
 * killed after its last checkpoint, are removed. */
int log_open(struct log *l, const char *run_dir, uint64_t step, uint64_t steps, uint64_t every,
             struct error *err);
/* Removes the lines of steps after `step`: the run has been rolled back. */
int log_cut_after(struct log *l, uint64_t step, struct error *err);
/* Prints the progress line and appends to metrics.jsonl. If a line cannot be written, it is kept
 * for the next attempt and one warning is printed; training continues. */
void log_step(struct log *l, const struct step_metrics *m);
/* Prints the validation loss, followed by a remark, and adds it to the step's line in
 * metrics.jsonl, even if that was written before a stop. */
void log_validation(struct log *l, uint64_t step, double val_loss, const char *remark);
/* Prints a line above the progress line. */
void log_note(struct log *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints "handgrad: …" on stderr, for problems that do not end the run. */
void log_warn(struct log *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Keeps the progress line on the screen and starts a new one. */
void log_end_line(struct log *l);
void log_close(struct log *l);
