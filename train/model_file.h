/* model_file.h: a model loaded from a checkpoint, for commands that do not train. */
#pragma once

#include "base/error.h"
#include "data/tokenizer/tokenizer.h"
#include "model/gpt.h"
#include "train/checkpoint/checkpoint.h"

struct model_file {
    struct gpt model;
    struct tokenizer *tokenizer; /* or NULL */
    struct config config;
    struct train_state state;
};

/* Loads the weights into a model for batches of `rows` sequences of block_size tokens (0: the
 * checkpoint's batch_size). On failure nothing is left open. */
int model_file_open(struct model_file *m, const char *path, size_t rows, enum gpt_use use,
                    struct error *err);
void model_file_close(struct model_file *m);
