/* config_keys.h: the values of a configuration, the table of their keys (name, type, default, range
 * and meaning), and operations on a single key. */
#pragma once

#include "base/error.h"
#include "data/loader.h"
#include "optim/schedule.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CONFIG_PATH_MAX = 1024 };
enum precision { PRECISION_F32, PRECISION_BF16 };
enum recompute { RECOMPUTE_NONE, RECOMPUTE_GELU, RECOMPUTE_BLOCK }; /* as enum gpt_use */
extern const char *const recompute_names[]; /* indexed by enum recompute, terminated by NULL */
enum on_spike { ON_SPIKE_NONE, ON_SPIKE_SKIP, ON_SPIKE_ROLLBACK };

/* The meaning of each key is in config_keys.c. */
struct config {
    struct {
        uint64_t n_layer, n_head, n_embd, block_size, vocab_size;
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
        int schedule; /* enum schedule_kind */
        uint64_t warmup, decay_steps;
        double beta1, beta2, eps, weight_decay, clip;
    } optim;
    struct {
        uint64_t batch_size, accumulate, steps, seed;
        int precision; /* enum precision */
        int recompute; /* enum recompute */
        uint64_t eval_every, eval_tokens, checkpoint_every, keep, log_every;
        int on_spike; /* enum on_spike */
        double spike_threshold;
        uint64_t max_skipped, log_tensors, sample_tokens;
        bool tensorboard;
    } train;
};

enum key_type { KEY_COUNT, KEY_NUMBER, KEY_BOOL, KEY_ENUM, KEY_STRING };
/* When a resumed run may change a key: if --allow names it; without, as it changes no step; if
 * --allow names it and no step is in progress, as it changes the batches; never. */
enum key_change { CHANGE_ALLOWED, CHANGE_HARMLESS, CHANGE_BETWEEN_STEPS, CHANGE_NEVER };
enum { KEY_TEXT_MAX = CONFIG_PATH_MAX + 32, KEYS_MAX = 64 };

struct config_key {
    const char *section, *name;
    enum key_type type;
    enum key_change change;
    size_t offset; /* in struct config, of a uint64_t, double, bool, int or char[CONFIG_PATH_MAX] */
    const char *initial; /* the default, as text */
    const char *alias;   /* the name in other trainers, used for suggestions only */
    const char *meaning;
    double min, max;          /* of counts and numbers */
    bool below_max;           /* max itself is not allowed */
    const char *const *enums; /* names of the values 0, 1, …, terminated by NULL */
};

extern const struct config_key config_keys[];
extern const size_t config_key_count;

/* NULL if there is no such key. */
const struct config_key *config_key_find(const char *section, const char *name);
/* The key most similar to section.name, or NULL if none is similar. section "" matches every
 * section. */
const struct config_key *config_key_nearest(const char *section, const char *name);
/* The most similar section, or NULL if none is similar. */
const char *config_section_nearest(const char *section);

/* Sets the value from text. All of the text must be valid and the value within its range. `where`
 * begins the error line ("a.ini:3"). */
int config_key_set(const struct config_key *key, struct config *c, const char *text,
                   const char *where, struct error *err);
/* The value as text that config_key_set reads back to the same bits. Returns text. */
char *config_key_get(const struct config_key *key, const struct config *c, char text[KEY_TEXT_MAX]);
/* Whether two configurations differ in the key. If so, appends "section.name A != B" to the list in
 * text (size bytes). */
bool config_key_differs(const struct config_key *key, const struct config *a,
                        const struct config *b, char *text, size_t size);
