/* weights.h: whether the weights of a checkpoint can begin a run, and loading them. */
#pragma once

#include "train/checkpoint/checkpoint.h"

/* Whether the weights of checkpoint c, read from path, compute in the run, given as the checkpoint
 * it would write now, the function they were trained for: every key of [model] must be the same
 * except dropout, a smaller block_size and a larger vocabulary. Otherwise -1 and a line that names
 * the key. */
int check_weights(const struct checkpoint *run, const struct checkpoint *c, const char *path,
                  struct error *err);

/* Loads the weights into params, laid out by the run's table of tensors and already initialised:
 * rows beyond a smaller block_size are dropped, new rows of a larger vocabulary keep their initial
 * values. Prints one line if the models differ in that or in dropout. */
int weights_load(float *params, const struct checkpoint *run, const char *path, struct error *err);
