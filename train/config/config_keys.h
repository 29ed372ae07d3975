/* config_keys.h: the one table of configuration keys, and what can be done with a single one. For config.c and its tests. */
#ifndef CONFIG_KEYS_H
#define CONFIG_KEYS_H

#include "train/config/config.h"

enum key_type { KEY_COUNT, KEY_NUMBER, KEY_BOOL, KEY_ENUM, KEY_STRING };
enum { KEY_TEXT_MAX = CONFIG_PATH_MAX + 32, KEYS_MAX = 64 };

struct config_key {
    const char *section, *name;
    enum key_type type;
    size_t
        offset; /* of the value in struct config: uint64_t, double, bool, int, char[CONFIG_PATH_MAX] */
    const char *initial;      /* the default, as a file would write it */
    double min, max;          /* of counts and numbers */
    bool below_max;           /* max itself is not allowed */
    const char *const *enums; /* the names of 0, 1, …; ends with NULL */
    const char *alias; /* what other trainers call it: only used to suggest the key; may be NULL */
    const char *meaning;
};

extern const struct config_key config_keys[];
extern const size_t config_key_count;

/* NULL where there is none. */
const struct config_key *config_key_find(const char *section, const char *name);
/* The key that section.name may have been meant for, or NULL where nothing is near. section "" matches all alike. */
const struct config_key *config_key_nearest(const char *section, const char *name);
/* The section that may have been meant, or NULL; the section itself where it exists. */
const char *config_section_nearest(const char *section);

/* Sets the value from text, strictly: the whole text counts, and the range holds. `where` begins the error line ("a.ini:3"). */
int config_key_set(const struct config_key *key, struct config *c, const char *text,
                   const char *where, struct error *err);
/* The value as text that config_key_set reads back to the same bits. Returns text. */
char *config_key_get(const struct config_key *key, const struct config *c, char text[KEY_TEXT_MAX]);
/* Which values are allowed, for people: "a whole number from 1 to 1024", "tanh or erf". Returns text. */
char *config_key_expects(const struct config_key *key, char *text, size_t size);

#endif
