/* config_keys.h: the values of a configuration, the table of their keys (config_keys.def), and
 * operations on a single key. */
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

/* The values, by section and key: c->model.n_layer, c->optim.lr. */
struct config {
#define SECTION(name) struct {
#define END(name)                                                                                  \
    }                                                                                              \
    name;
#define VALUE_COUNT(name)                     uint64_t name;
#define VALUE_NUMBER(name)                    double name;
#define VALUE_BOOL(name)                      bool name;
#define VALUE_ENUM(name)                      int name;
#define VALUE_STRING(name)                    char name[CONFIG_PATH_MAX];
#define KEY(section, name, type, change, ...) VALUE_##type(name)
#include "train/config/config_keys.def"
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
