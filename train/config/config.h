/* config.h: a run's configuration: an INI file, --set section.key=value, and the text that a checkpoint carries. One table in
 * config_keys.c holds every key with its type, default, range and meaning; reading, writing and checking are driven by it. */
#ifndef CONFIG_H
#define CONFIG_H

#include "base/error.h"
#include "data/loader.h"
#include "model/gpt.h"
#include "model/model_code.h"
#include "model/tensors.h"
#include "optim/schedule.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { CONFIG_PATH_MAX = 1024 };
enum precision { PRECISION_F32, PRECISION_BF16 };
enum recompute { RECOMPUTE_NONE, RECOMPUTE_GELU, RECOMPUTE_BLOCK };
extern const char *const recompute_names[]; /* by enum recompute; NULL behind the last */
enum on_spike { ON_SPIKE_NONE, ON_SPIKE_SKIP, ON_SPIKE_ROLLBACK };

struct config {
    struct {
        uint64_t n_layer, n_head, n_embd, block_size;
        uint64_t vocab_size; /* 0: the tokenizer's */
        bool bias;
        int gelu; /* enum gelu_kind */
        double dropout;
    } model;
    struct {
        char dir[CONFIG_PATH_MAX];
        int order;   /* enum order */
        int windows; /* enum window_starts */
        bool mask_documents;
    } data;
    struct {
        double lr, min_lr;
        int schedule;                                 /* enum schedule_kind */
        uint64_t warmup, decay_steps;                 /* decay_steps 0: as schedule.h says */
        double beta1, beta2, eps, weight_decay, clip; /* clip 0: none */
    } optim;
    struct {
        uint64_t batch_size, accumulate, steps, seed;
        int precision;                    /* enum precision */
        int recompute;                    /* enum recompute */
        uint64_t eval_every, eval_tokens; /* 0: never; 0: the whole split */
        uint64_t checkpoint_every, keep;  /* 0: at the end only; rotated checkpoints that stay */
        uint64_t log_every;               /* plain lines on a pipe: one every so many steps */
        int on_spike;                     /* enum on_spike */
        double spike_threshold;           /* of loss_window_limit */
        uint64_t max_skipped;             /* steps in a row, before a rollback */
        uint64_t log_tensors;             /* steps between norms of every tensor; 0: never */
        uint64_t sample_tokens;           /* of the text written at each evaluation; 0: none */
        bool tensorboard;
    } train;
};

void config_defaults(struct config *c);
/* Defaults, then the file. An unknown key names the nearest known one; a bad value names file, line, key, value, expectation. */
int config_load(struct config *c, const char *path, struct error *err);
/* The same from text, as a checkpoint holds it; `name` stands for the file in error lines. */
int config_parse(struct config *c, const char *text, const char *name, struct error *err);
/* "section.key=value", from --set. */
int config_set(struct config *c, const char *assignment, struct error *err);
/* What a single key cannot show: n_embd divisible by n_head, min_lr <= lr, … `name` as above. */
int config_check(const struct config *c, const char *name, struct error *err);
/* The whole configuration as INI text, every key, that reads back to the same values bit for bit. Allocated; NULL where memory
 * is short. */
char *config_text(const struct config *c);
/* The section.key names that differ between two, comma-separated with both values ("optim.lr 0.001 != 0.0003"), at most size
 * bytes; returns how many differ. */
size_t config_diff(const struct config *a, const struct config *b, char *text, size_t size);
/* Every key with its default and meaning, for --help. */
void config_help(FILE *out);

/* The sizes of the model, for a tokenizer of so many symbols (0: none, then model.vocab_size must say). A vocab_size above the
 * tokenizer's pads wte in memory; one below it is an error. `name` as above. */
int config_model(const struct config *c, size_t tokenizer_symbols, struct model_config *model,
                 const char *name, struct error *err);
/* The build of the model for train.precision, and what a model is created for by train.recompute. */
const struct model_code *config_model_code(const struct config *c);
enum gpt_use config_gpt_use(const struct config *c);
struct schedule config_schedule(const struct config *c);
/* Tokens of a whole step. */
uint64_t config_step_tokens(const struct config *c);

#endif
