/* config_keys.c: see config_keys.h. Everything here loops over the table in config_keys.def. */
#include "train/config/config_keys.h"
#include "base/minmax.h"
#include "base/suggest.h"
#include "base/text_append.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const recompute_names[] = {
    [RECOMPUTE_NONE] = "none", [RECOMPUTE_GELU] = "gelu", [RECOMPUTE_BLOCK] = "block", NULL};

const struct config_key config_keys[] = {
#define SECTION(name)
#define END(name)
#define NAMES(...)                                                                                 \
    .enums = (const char *const[])                                                                 \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }
#define KEY(SECTION, NAME, TYPE, CHANGE, ...)                                                      \
    {.section = #SECTION,                                                                          \
     .name = #NAME,                                                                                \
     .type = KEY_##TYPE,                                                                           \
     .change = CHANGE_##CHANGE,                                                                    \
     .offset = offsetof(struct config, SECTION.NAME),                                              \
     __VA_ARGS__},
#include "train/config/config_keys.def"
};
_Static_assert(sizeof config_keys / sizeof *config_keys <= KEYS_MAX, "raise KEYS_MAX");
const size_t config_key_count = sizeof config_keys / sizeof *config_keys;

const struct config_key *config_key_find(const char *section, const char *name)
{
    for (size_t i = 0; i < config_key_count; i++)
        if (!strcmp(config_keys[i].section, section) && !strcmp(config_keys[i].name, name))
            return &config_keys[i];
    return NULL;
}

const struct config_key *config_key_nearest(const char *section, const char *name)
{
    const struct config_key *nearest = NULL;
    size_t smallest = SIZE_MAX;
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        const size_t distance =
            size_min(suggest_distance(name, key->name), suggest_distance(name, key->alias));
        if (distance == SIZE_MAX)
            continue;
        /* The section breaks ties. */
        const size_t score = 2 * distance + (strcmp(section, key->section) != 0);
        if (score < smallest) {
            smallest = score;
            nearest = key;
        }
    }
    return nearest;
}

const char *config_section_nearest(const char *section)
{
    static const char *const sections[] = {"model", "data", "optim", "train"};
    return suggest_nearest(section, sections, sizeof sections / sizeof *sections);
}

/* --- values --- */

static bool in_range(const struct config_key *key, double x)
{
    return x >= key->min && (key->below_max ? x < key->max : x <= key->max);
}

static bool parse_count(const struct config_key *key, const char *text, uint64_t *value)
{
    char *end;
    errno = 0;
    const uint64_t x = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)*text) || errno || *end || !in_range(key, x))
        return false;
    *value = x;
    return true;
}

static bool parse_number(const struct config_key *key, const char *text, double *value)
{
    char *end;
    const double x = strtod(text, &end);
    /* no hexadecimal, no "nan" */
    if (!*text || text[strspn(text, "0123456789+-.eE")] || *end || !isfinite(x) ||
        !in_range(key, x))
        return false;
    *value = x;
    return true;
}

static bool parse_name(const char *const *names, const char *text, int *value)
{
    for (int i = 0; names[i]; i++)
        if (!strcmp(text, names[i])) {
            *value = i;
            return true;
        }
    return false;
}

static bool parse_bool(const char *text, bool *value)
{
    static const char *const names[] = {"no", "yes", "false", "true", "off", "on", "0", "1", NULL};
    int index;
    if (!parse_name(names, text, &index))
        return false;
    *value = index % 2;
    return true;
}

/* A path that can be written to an INI file and read back: no control characters, no blanks at
 * either end, nothing that begins a comment. */
static bool parse_string(const char *text, char *value)
{
    const size_t n = strlen(text);
    if (n >= CONFIG_PATH_MAX ||
        (n && (isspace((unsigned char)text[0]) || isspace((unsigned char)text[n - 1]))))
        return false;
    for (size_t i = 0; i < n; i++)
        if (iscntrl((unsigned char)text[i]) ||
            (text[i] == ';' && (!i || isspace((unsigned char)text[i - 1]))))
            return false;
    memcpy(value, text, n + 1);
    return true;
}

static bool parse(const struct config_key *key, const char *text, void *value)
{
    switch (key->type) {
    case KEY_COUNT:
        return parse_count(key, text, value);
    case KEY_NUMBER:
        return parse_number(key, text, value);
    case KEY_BOOL:
        return parse_bool(text, value);
    case KEY_ENUM:
        return parse_name(key->enums, text, value);
    case KEY_STRING:
        return parse_string(text, value);
    }
    return false;
}

enum { EXPECTED_MAX = 256 };

/* The values allowed: "a whole number from 1 to 1024", "tanh or erf". Returns text. */
static char *expected_text(const struct config_key *key, char text[EXPECTED_MAX])
{
    switch (key->type) {
    case KEY_COUNT:
        snprintf(text, EXPECTED_MAX,
                 key->max < 0x1p64 ? "a whole number from %.15g to %.15g"
                                   : "a whole number below 2^64",
                 key->min, key->max);
        break;
    case KEY_NUMBER:
        snprintf(text, EXPECTED_MAX, "a number from %.15g to %s%.15g", key->min,
                 key->below_max ? "below " : "", key->max);
        break;
    case KEY_BOOL:
        strcpy(text, "yes or no");
        break;
    case KEY_STRING:
        snprintf(text, EXPECTED_MAX,
                 "a path of fewer than %d bytes that a line of an INI file can hold",
                 CONFIG_PATH_MAX);
        break;
    case KEY_ENUM:
        strcpy(text, key->enums[0]);
        for (int i = 1; key->enums[i]; i++)
            text_append(text, EXPECTED_MAX, "%s%s", key->enums[i + 1] ? ", " : " or ",
                        key->enums[i]);
        break;
    }
    return text;
}

int config_key_set(const struct config_key *key, struct config *c, const char *text,
                   const char *where, struct error *err)
{
    char expected[EXPECTED_MAX];
    return parse(key, text, (char *)c + key->offset)
               ? 0
               : fail(err, "%s: %s.%s: expected %s, got \"%.100s\"", where, key->section, key->name,
                      expected_text(key, expected), text);
}

/* The fewest digits that read back to the same bits. */
static void print_number(double x, char text[KEY_TEXT_MAX])
{
    int digits = 15;
    do
        snprintf(text, KEY_TEXT_MAX, "%.*g", digits, x);
    while (strtod(text, NULL) != x && digits++ < 17);
}

char *config_key_get(const struct config_key *key, const struct config *c, char text[KEY_TEXT_MAX])
{
    const void *value = (const char *)c + key->offset;
    switch (key->type) {
    case KEY_COUNT:
        snprintf(text, KEY_TEXT_MAX, "%" PRIu64, *(const uint64_t *)value);
        break;
    case KEY_NUMBER:
        print_number(*(const double *)value, text);
        break;
    case KEY_BOOL:
        strcpy(text, *(const bool *)value ? "yes" : "no");
        break;
    case KEY_ENUM:
        strcpy(text, key->enums[*(const int *)value]);
        break;
    case KEY_STRING:
        strcpy(text, value);
        break;
    }
    return text;
}

bool config_key_differs(const struct config_key *key, const struct config *a,
                        const struct config *b, char *text, size_t size)
{
    char x[KEY_TEXT_MAX], y[KEY_TEXT_MAX];
    if (!strcmp(config_key_get(key, a, x), config_key_get(key, b, y)))
        return false;
    text_append(text, size, "%s%s.%s %s != %s", size && *text ? ", " : "", key->section, key->name,
                x, y);
    return true;
}

void config_help(FILE *out)
{
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        if (!i || strcmp(key->section, config_keys[i - 1].section))
            fprintf(out, "%s[%s]\n", i ? "\n" : "", key->section);
        fprintf(out, "  %-17s %-11s %s", key->name, key->initial, key->meaning);
        char expected[EXPECTED_MAX];
        if (key->type == KEY_ENUM)
            fprintf(out, " (%s)", expected_text(key, expected));
        putc('\n', out);
    }
}
