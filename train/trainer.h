/* trainer.h: a training run: model, optimiser, data and state, a micro-step at a time. */
#ifndef TRAINER_H
#define TRAINER_H

#include "base/digest.h"
#include "base/error.h"
#include "data/loader.h"
#include "model/gpt.h"
#include "optim/adamw.h"
#include "train/checkpoint/checkpoint.h"
#include "train/config/config.h"
#include "train/log.h"

struct trainer {
    struct config config;
    struct train_state state;
    struct tokenizer *tokenizer;
    struct gpt model;
    struct arena moments; /* m and v */
    real *m, *v;
    struct loader *loader;
    char data_fingerprint[DIGEST_HEX];
    bool changed; /* the configuration or the data, since the checkpoint that was resumed from */
    char last_checkpoint[CONFIG_PATH_MAX + 32]; /* "" before the first */
    struct step_metrics metrics;                /* of the last finished step */
    double peak, started; /* FLOP/s; the clock when this process began the step in hand */
    uint64_t began_at;    /* its micro-batch then: not the first where another process did some */
    size_t needs, available; /* bytes: of all arrays, and that were free before */
    char fault[512];         /* why the last skipped step was skipped */
};

struct allowed; /* resume.h */

/* Opens the data, checks it against the configuration, and allocates all that a run needs. Weights are the initial ones. On
 * failure nothing is left open. */
int trainer_create(struct trainer *t, const struct config *config, struct error *err);
void trainer_destroy(struct trainer *t);

/* Weights of a checkpoint, for a fresh run. Its tokenizer has to be the data's. */
int trainer_load_weights(struct trainer *t, const char *path, struct error *err);
/* All of a checkpoint: the run goes on bit for bit. Refuses what check_resume refuses, and notes on stdout what else of the
 * configuration has changed. */
int trainer_resume(struct trainer *t, const char *path, const struct allowed *allowed,
                   struct error *err);
/* Starts reading ahead where the state stands: after either of them. */
int trainer_start(struct trainer *t, struct error *err);

/* One micro-batch, and where it completes its step, the update. A step whose loss or gradients are not finite, or whose loss is a
 * spike where the configuration forbids them, ends without one: weights and moments stay as they were, metrics.skipped says so,
 * and `fault` says why; of what is not finite it names the first tensor, its layer and operation. */
int trainer_micro_step(struct trainer *t, struct error *err);
/* Whether the step that has just ended is one too many: the run goes back to a checkpoint. */
bool trainer_must_roll_back(const struct trainer *t);
/* Weights, moments and state of an earlier checkpoint; the batches read since are jumped over. Fails where that was done before
 * and no checkpoint was saved since. */
int trainer_roll_back(struct trainer *t, const char *path, struct error *err);
/* The whole run, as checkpoint_write takes it. */
struct checkpoint trainer_checkpoint(const struct trainer *t);
/* Writes it to a file. */
int trainer_save(const struct trainer *t, const char *path, struct error *err);

#endif
