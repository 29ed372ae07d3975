/* log.h: what a run says while it goes: one live line on a terminal, plain lines on a pipe, and metrics.jsonl. */
#ifndef LOG_H
#define LOG_H

#include "../data/error.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* One finished step. */
struct step_metrics {
    uint64_t step;   /* from 1 */
    uint64_t tokens; /* seen since step 0 */
    double loss, smoothed_loss, lr, grad_norm;
    double tokens_per_s;
    double mfu;      /* model FLOP/s as a share of products_peak (peak.h), measured at the start */
    double val_loss; /* NAN where not measured */
};

struct log {
    FILE *metrics;
    char metrics_path[1100];
    bool live; /* stdout is a terminal */
    bool line_open;
    uint64_t steps, every; /* of the run; plain lines */
    uint64_t first_step;   /* of this process */
    double started;        /* seconds */
};

/* Opens RUN/metrics.jsonl to go on after `step`: objects of later steps, left by a run that was killed after its last
 * checkpoint, are cut off. */
int log_open(struct log *l, const char *run_dir, uint64_t step, uint64_t steps, uint64_t every, struct error *err);
int log_step(struct log *l, const struct step_metrics *m, struct error *err);
/* A validation that belongs to an earlier line, after a stop in its middle. */
int log_validation(struct log *l, uint64_t step, double val_loss, struct error *err);
/* A line of its own, above the live one. */
void log_note(struct log *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Leaves the live line as it is and begins a new one. */
void log_end_line(struct log *l);
void log_close(struct log *l);

double seconds(void); /* a monotonic clock */

#endif
