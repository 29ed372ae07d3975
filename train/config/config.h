/* config.h: a run's configuration: an INI file, overrides (--set section.key=value), and the text
 * stored in checkpoints. */
#pragma once

#include "base/error.h"
#include "model/gpt.h"
#include "model/model_code.h"
#include "model/tensors.h"
#include "optim/adamw.h"
#include "train/config/config_keys.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

void config_defaults(struct config *c);
/* Sets the defaults, then reads the file. An error names file, line, key, value and what was
 * expected; for an unknown key it suggests the most similar one. */
int config_load(struct config *c, const char *path, struct error *err);
/* The same from text, as stored in a checkpoint; `name` stands for the file in error lines. */
int config_parse(struct config *c, const char *text, const char *name, struct error *err);
/* Applies "section.key=value", from --set. */
int config_set(struct config *c, const char *assignment, struct error *err);
/* Checks what involves several keys: n_embd divisible by n_head, min_lr <= lr, … `name` as
 * above. */
int config_check(const struct config *c, const char *name, struct error *err);
/* The whole configuration as INI text that reads back to the same bits. Allocated; NULL if out of
 * memory. */
char *config_text(const struct config *c);
/* Lists the keys in which two configurations differ, with both values ("optim.lr 0.001 != 0.0003,
 * …"), cut off at `size` bytes. Returns how many differ. */
size_t config_diff(const struct config *a, const struct config *b, char *text, size_t size);
/* Prints every key with its default and meaning, for `train --keys`. */
void config_help(FILE *out);

/* The dimensions of the model for a tokenizer with this many symbols (0: no tokenizer, so
 * model.vocab_size is required). If model.vocab_size exceeds the number of symbols, wte is padded
 * in memory; if it is smaller, that is an error. `name` as above. */
int config_model(const struct config *c, size_t tokenizer_symbols, struct model_config *model,
                 const char *name, struct error *err);
/* The table of the model's tensors, for config_model's arguments; NULL on error. */
struct tensors *config_tensors(const struct config *c, size_t tokenizer_symbols, const char *name,
                               struct error *err);
struct adamw config_adamw(const struct config *c);
/* The learning rate of a step, counted from 0. */
double config_lr(const struct config *c, uint64_t step);
/* The build of the model for train.precision, and the use of the model that train.recompute
 * selects. */
const struct model_code *config_model_code(const struct config *c);
enum gpt_use config_gpt_use(const struct config *c);
/* Tokens per step. */
uint64_t config_step_tokens(const struct config *c);
/* Whether something done every `every` steps (0: never), and at the end of the run, is due after
 * `step` steps. */
bool config_is_due(const struct config *c, uint64_t step, uint64_t every);
