/* resume.h: whether a run may resume from a checkpoint, given what has changed since it was
 * saved. */
#pragma once

#include "train/checkpoint/checkpoint.h"
#include "train/config/config_keys.h"

/* What --allow permits to differ. All zero: nothing. */
struct allowed {
    bool keys[KEYS_MAX]; /* indexed like config_keys */
    bool data;           /* the training data */
};

/* Adds a comma-separated list of keys ("lr", "optim.lr") and sections ("optim"); "data" permits
 * different training data. -1 if a name is unknown. */
int allow(struct allowed *a, const char *list, struct error *err);

/* Compares a run, as the checkpoint it would write now, with the checkpoint c read from path. 0 if
 * the run may resume; otherwise -1 and a line that names the fields that differ and the
 * --allow that would permit them. What may differ is in the table of keys (enum key_change).
 * Another model shape, another tokenizer, and other batches within a step are never allowed. */
int check_resume(const struct checkpoint *run, const struct checkpoint *c, const struct allowed *a,
                 const char *path, struct error *err);
