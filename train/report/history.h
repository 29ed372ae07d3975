/* history.h: the history of a run for the report, the live page and the plot. Reads config.ini,
 * metrics.jsonl, tensors.jsonl, samples.jsonl and starts.jsonl of a run folder as they grow. The
 * files are untrusted and may be incomplete: a line that is not an object of the expected form is
 * skipped and counted. */
#pragma once

#include "base/error.h"
#include "base/tail.h"
#include "train/report/curves.h"
#include <cjson/cJSON.h>

enum { HISTORY_FILES = 4 };

/* The columns of steps; those from CLIPPED on are computed here. */
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

/* The tables of history_json. */
enum history_table { STEPS, EVALUATIONS, TENSORS, SAMPLES, HISTORY_TABLES };
extern const char *const history_tables[HISTORY_TABLES];

/* Every stride-th object, and the newest. */
struct object_list {
    cJSON *array;
    uint64_t stride, seen;
};

struct history {
    char *dir;
    cJSON *config;                    /* {section: {key: value}} as strings, or NULL */
    double clip;                      /* optim.clip; NAN if unknown */
    struct tail files[HISTORY_FILES]; /* metrics, tensors, samples, starts */
    struct curves steps, evaluations; /* evaluations: one column, val_loss */
    struct curves
        tensors;         /* three columns each: norms of the weight, its gradient and its update */
    cJSON *tensor_names; /* an object with their names as keys, or NULL */
    struct object_list samples, starts;
    double last[STEP_COLUMNS], last_step; /* the newest row */
    double best_val_loss, best_step;
    uint64_t epoch; /* changes when a table is read anew */
    uint64_t bad_lines;
};

/* Opens a run folder. The folder must exist, its files may appear later. */
int history_open(struct history *h, const char *dir, struct error *err);
void history_close(struct history *h);
/* Reads what is new. */
int history_refresh(struct history *h, struct error *err);
/* Opens and reads a folder that must hold a run. */
int history_read(struct history *h, const char *dir, struct error *err);

/* What a reader of history_json has: its epoch and the number of rows of each table; zero for
 * nothing. */
struct history_seen {
    uint64_t epoch, counts[HISTORY_TABLES];
};

/* The run as one JSON object, without the rows that were seen, for the caller to free; NULL if out
 * of memory:
 *
 *   name, config, starts, last, best, bad_lines, epoch
 *   steps, evaluations   {from, width, x, columns: {NAME: {mean, low, high}}}
 *   tensors              as above; columns: {weight, grad, update}, each by tensor name
 *   samples              {from, list: [{step, text, …}]}
 *
 * `from` is the index of the first row sent, 0 if the epoch differs from the reader's; low and high
 * are there if width > 1. */
char *history_json(const struct history *h, const struct history_seen *seen);
