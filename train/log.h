/* log.h: what a run says while it goes: one live line on a terminal, plain lines on a pipe, and metrics.jsonl. */
#ifndef LOG_H
#define LOG_H

#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* One finished step. */
struct step_metrics {
    uint64_t step;   /* from 1 */
    uint64_t tokens; /* read by all steps up to this one, each with the batches that it had */
    double loss, smoothed_loss, lr, grad_norm;
    double tokens_per_s; /* of the step, or of the rest of one that another process began */
    double
        mfu; /* the same: model FLOP/s as a share of products_peak (peak.h), measured at the start */
    double stall_s; /* seconds that training waited for checkpoints since the step before */
    const char *
        skipped; /* what was wrong where the step changed no weights: "loss", "grad_norm", "spike"; else NULL */
    uint64_t rolled_back_from,
        batches_skipped; /* where the run went back to the step before; else 0 */
};

struct log {
    int fd; /* of metrics.jsonl */
    char metrics_path[1100];
    off_t end;            /* of the whole lines in it */
    char *pending, *last; /* lines that the disk would not take yet; the last line */
    size_t pending_size, last_size;
    bool failing;
    bool live; /* stdout is a terminal */
    bool line_open;
    uint64_t steps, every; /* of the run; plain lines */
    uint64_t first_step;   /* of this process */
    double started;        /* seconds */
};

/* Opens RUN/metrics.jsonl to go on after `step`: objects of later steps, left by a run that was killed after its last
 * checkpoint, are cut off. */
int log_open(struct log *l, const char *run_dir, uint64_t step, uint64_t steps, uint64_t every,
             struct error *err);
/* The same while it is open: the run has gone back to `step`. */
int log_cut_after(struct log *l, uint64_t step, struct error *err);
/* A line that cannot be written is kept, and said once; a run goes on without it. */
void log_step(struct log *l, const struct step_metrics *m);
/* The validation loss of the last step: becomes part of its line, also where that was written before a stop. */
void log_validation(struct log *l, uint64_t step, double val_loss);
/* A line of its own, above the live one. */
void log_note(struct log *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "handgrad: …" on stderr, for what goes wrong and does not end the run. */
void log_warn(struct log *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Leaves the live line as it is and begins a new one. */
void log_end_line(struct log *l);
void log_close(struct log *l);

#endif
