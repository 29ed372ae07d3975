/* trainer.h: a training run: model, optimiser, data and state, advanced by micro-steps. */
#pragma once

#include "base/digest.h"
#include "base/error.h"
#include "data/loader.h"
#include "model/gpt.h"
#include "optim/adamw.h"
#include "train/checkpoint/checkpoint.h"
#include "train/checkpoint/run_directory.h"
#include "train/config/config.h"
#include "train/log.h"

enum { FAULT_MAX = 512 };

struct trainer {
    struct config config;
    struct train_state state;
    struct tokenizer *tokenizer;
    struct gpt model;
    struct arena moments; /* m and v */
    real *m, *v;
    struct loader *loader;
    char data_fingerprint[DIGEST_HEX];
    bool changed; /* configuration or data differ from the checkpoint resumed from */
    char last_checkpoint[RUN_PATH_MAX]; /* "" before the first */
    struct step_metrics metrics;        /* of the last finished step */
    double peak;                        /* FLOP/s of the machine */
    double started;                     /* seconds(): when this process began the current step */
    uint64_t began_at;     /* at this micro-batch; an earlier process did those before */
    size_t needs;          /* bytes of all arrays */
    size_t available;      /* bytes available before they were allocated */
    char fault[FAULT_MAX]; /* why the last skipped step was skipped */
};

struct allowed; /* resume.h */

/* Opens the data, checks it against the configuration, allocates everything a run needs and
 * initialises the weights. On failure nothing is left open. */
int trainer_create(struct trainer *t, const struct config *config, struct error *err);
void trainer_destroy(struct trainer *t);

/* Loads the weights of a checkpoint into a fresh run (weights.h). */
int trainer_load_weights(struct trainer *t, const char *path, struct error *err);
/* Loads a whole checkpoint, after which the run continues with the same bits. Refuses what
 * check_resume refuses, and prints the other changes of the configuration. */
int trainer_resume(struct trainer *t, const char *path, const struct allowed *allowed,
                   struct error *err);
/* Starts the loader at the position in the data that the state determines. Call it after the
 * weights are loaded. */
int trainer_start(struct trainer *t, struct error *err);

/* Runs one micro-batch, and the update if it completes the step. The update is skipped if the loss
 * or the gradient is not finite, or if the loss is a spike and the configuration forbids spikes:
 * weights and moments do not change, metrics.skipped is set, and `fault` says why. For numbers that
 * are not finite it names the first tensor, its layer and its operation. */
int trainer_micro_step(struct trainer *t, struct error *err);
/* Whether the run must be rolled back after the step that has just ended. */
bool trainer_must_roll_back(const struct trainer *t);
/* Loads weights, moments and state of an earlier checkpoint, and skips the batches read since.
 * Fails if the run was rolled back before and no checkpoint has been saved since. */
int trainer_roll_back(struct trainer *t, const char *path, struct error *err);
/* The run as a checkpoint, which refers to its arrays. */
struct checkpoint trainer_checkpoint(const struct trainer *t);
