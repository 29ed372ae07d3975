/* checkpoint.h: a checkpoint: one HDF5 file that a run resumes from, and that other commands load
 * the model from. docs/file-formats.md describes it.
 *
 * The file is built in memory and written atomically. On reading, its checksums are verified before
 * libhdf5 parses anything.
 */
#pragma once

#include "base/error.h"
#include "data/tokenizer/tokenizer.h"
#include "model/tensors.h"
#include "optim/spike.h"
#include "train/config/config.h"
#include <stdint.h>

enum { VAL_MEASURE_MAX = 128 };

/* The state of a run besides weights, optimiser state and configuration. Random numbers are
 * counter-based, so step, micro, batch_shift and the seed determine both the generators' state and
 * the position in the data. */
struct train_state {
    uint64_t step;     /* optimiser steps done */
    uint64_t tokens;   /* read by these steps */
    uint64_t micro;    /* micro-batches of the current step already accumulated in grads */
    double micro_loss; /* sum of their losses */
    double smoothed_loss;
    double val_loss, best_val_loss;    /* NAN if not measured; val_loss is the latest */
    uint64_t val_step, best_step;      /* the steps at which they were measured */
    char val_measure[VAL_MEASURE_MAX]; /* what they were measured on; "" if unknown */

    uint64_t updates;        /* steps that changed the weights */
    uint64_t skipped;        /* steps without an update, including those undone by a rollback */
    uint64_t skipped_in_row; /* since the last update */
    uint64_t spikes;         /* steps skipped because of a loss spike */
    uint64_t rollbacks, rolled_back_from, rolled_back_to; /* count, and steps of the last one */
    uint64_t batch_shift; /* step s reads the batches of step s + batch_shift, as a rollback
                                  skips the batches that led to it */
    uint64_t row_shift;   /* modulo 2^64: added to row numbers (loader.h), as another batch_size
                                  must not move the position in the data */
    uint64_t evals_since_best;
    uint64_t documents;        /* of the training data; 0 if it is not divided into documents */
    struct loss_window recent; /* losses of the last updates */
};

struct checkpoint {
    struct config config;
    struct train_state state;
    char data_fingerprint[65];           /* of the training data; "" if there is none yet */
    struct tokenizer *tokenizer;         /* or NULL */
    struct tensors *tensors;             /* the layout of the arrays below */
    const float *params, *m, *v, *grads; /* to write; m, v, grads may be NULL */
};

/* Writes a checkpoint atomically. Equal checkpoints give equal bytes. */
int checkpoint_write(const struct checkpoint *c, const char *path, struct error *err);
/* An upper bound of the size of the file in bytes. */
size_t checkpoint_size(const struct checkpoint *c);

struct checkpoint_file; /* open for reading */

/* Opens a checkpoint: verifies both checksums, parses configuration, state and tokenizer into *c,
 * creates the table of tensors and checks that params has exactly these tensors, in type and shape.
 * The arrays of *c remain NULL. The file is treated as untrusted: every size is checked before it
 * is used. NULL on error; close with checkpoint_close. */
struct checkpoint_file *checkpoint_open(const char *path, struct checkpoint *c, struct error *err);
/* Reads a group ("params", "adamw/m", "adamw/v", "grads") into an array laid out by the table, or
 * only checks its types and shapes if array is NULL. Padding and gaps keep their values. A missing
 * group is an error. */
int checkpoint_read(struct checkpoint_file *f, const char *group, float *array, struct error *err);
bool checkpoint_has(struct checkpoint_file *f, const char *group);
/* Checks that the checkpoint's tensors have the sizes of a model; an error names the first size
 * that differs. */
int checkpoint_fits(const struct checkpoint *c, const struct model_config *want, const char *path,
                    struct error *err);
/* Frees everything, including the tokenizer and the table in the struct checkpoint. */
void checkpoint_close(struct checkpoint_file *f);
