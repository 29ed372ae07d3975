/* train_text.h: handgrad train TEXT. */
#pragma once

#include "train/checkpoint/run_directory.h"
#include "train/cli/options.h"

/* Whether an operand of `train` is a configuration and not a text: it is named *.ini, does not
 * exist, or is a file that begins with a section. */
bool is_configuration(const char *path);
/* The run directory for a text: NAME-run, for NAME.txt, in the current directory. */
void default_run(char path[RUN_PATH_MAX], const char *text);
/* Tokenizes texts to RUN/data, and sets *c for about so many minutes of training on this machine,
 * or for the train.steps in `settings`, which are applied. Prints what it chose. */
int prepare_text(struct config *c, const struct operand_list *texts,
                 const struct string_list *settings, const char *run, double minutes,
                 struct error *err);
