/* history.h: what a run folder tells of its run, read as it grows: config.ini, metrics.jsonl, tensors.jsonl, samples.jsonl and
 * starts.jsonl. For the report, the live page and the plot. The files may be damaged, half written or hostile: a line that is no
 * object of the expected form is counted and passed over. */
#ifndef HISTORY_H
#define HISTORY_H

#include "base/error.h"
#include "base/tail.h"
#include "train/report/curves.h"
#include <cjson/cJSON.h>
#include <stdio.h>

/* The columns of steps, in the order of history_columns; those from CLIPPED on are derived. */
enum history_column {
    LOSS,
    LR,
    GRAD_NORM,
    TOKENS_PER_S,
    MFU,
    TOKENS,
    CLIPPED,
    SKIPPED,
    SECONDS,
    STEP_COLUMNS
};
extern const char *const history_columns[STEP_COLUMNS];

/* Objects of which every stride-th is kept, and the newest. */
struct object_list {
    cJSON **list;
    size_t count, capacity;
    uint64_t stride, seen;
};

struct history {
    char *dir;
    cJSON *config;              /* {section: {key: value}} as strings, or NULL */
    double steps_planned, clip; /* NAN where the configuration does not say */
    struct tail metrics_file, tensors_file, samples_file, starts_file;
    struct curves steps, evaluations; /* evaluations: one column, val_loss */
    struct curves
        tensors; /* three columns a tensor: norm of the weight, of its gradient, of its update */
    char **tensor_names;
    size_t n_tensors;
    struct object_list samples, starts;
    double last[STEP_COLUMNS], last_step; /* of the newest row */
    double best_val_loss, best_step;
    uint64_t epochs
        [3]; /* of steps and evaluations, tensors, samples: another one each time a file begins again */
    uint64_t lines, bad_lines;
};

/* The run folder has to exist; what is in it may come later. */
int history_open(struct history *h, const char *dir, struct error *err);
void history_close(struct history *h);
/* Reads what is new. */
int history_refresh(struct history *h, struct error *err);
/* Both, for a folder that must hold a run by now. */
int history_read(struct history *h, const char *dir, struct error *err);

/* What a reader has already, of each table: its epoch, and the number of rows. All zero: nothing. */
struct history_seen {
    struct {
        uint64_t epoch, count;
    } steps, evaluations, tensors, samples;
};

/* The run as one JSON object, but for what was seen:
 *
 *   name, config, starts, last, best, bad_lines
 *   steps, evaluations   {epoch, from, width, x, columns: {NAME: {mean, low, high}}}     rows from `from` on; low and high
 *   tensors              the same; columns: {weight, grad, update}, each an object by tensor's name   where width > 1
 *   samples              {epoch, from, list: [{step, text, …}]}
 *
 * A reader whose epoch differs drops what it has. */
void history_json(const struct history *h, const struct history_seen *seen, FILE *out);

#endif
