/* trainer.h: a training run: model, optimiser, data and state, a micro-step at a time. */
#ifndef TRAINER_H
#define TRAINER_H

#include "../data/digest.h"
#include "../data/error.h"
#include "../data/loader.h"
#include "../model/gpt.h"
#include "../optim/adamw.h"
#include "checkpoint.h"
#include "config.h"
#include "log.h"

struct trainer {
    struct config config;
    struct train_state state;
    struct tokenizer *tokenizer;
    struct gpt model;
    struct arena moments; /* m and v */
    real *m, *v;
    struct loader *loader;
    char data_fingerprint[DIGEST_HEX];
    char last_checkpoint[CONFIG_PATH_MAX + 32]; /* "" before the first */
    struct step_metrics metrics;                /* of the last finished step */
    double peak, started;                       /* FLOP/s; the clock when the step in hand began */
};

/* Opens the data, checks it against the configuration, and allocates all that a run needs. Weights are the initial ones. On
 * failure nothing is left open. */
int trainer_create(struct trainer *t, const struct config *config, struct error *err);
void trainer_destroy(struct trainer *t);

/* Weights of a checkpoint, for a fresh run. Its tokenizer has to be the data's. */
int trainer_load_weights(struct trainer *t, const char *path, struct error *err);
/* All of a checkpoint: the run goes on bit for bit. Refuses another model or other data, and another batch in the middle of an
 * accumulation; notes on stdout what else of the configuration has changed. */
int trainer_resume(struct trainer *t, const char *path, struct error *err);
/* Starts reading ahead where the state stands: after either of them. */
int trainer_start(struct trainer *t, struct error *err);

/* One micro-batch, and where it completes its step, the update. A loss or norm that is not finite is an error that names the
 * step and the last checkpoint, and leaves weights and moments as they were. */
int trainer_micro_step(struct trainer *t, struct error *err);
/* Writes the whole run to a file. */
int trainer_save(struct trainer *t, const char *path, struct error *err);

#endif
