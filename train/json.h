/* json.h: JSON that commands print. */
#pragma once

#include <cjson/cJSON.h>
#include <math.h>
#include <stddef.h>

/* From now on, the program ends with an error if memory for JSON is short. cJSON leaves out what it
 * cannot allocate, so that commands would print incomplete results. */
void json_require_memory(void);

/* A string. JSON cannot hold arbitrary bytes, and cJSON no zeros: invalid UTF-8 and zeros become
 * U+FFFD. Returns NULL if out of memory. */
cJSON *json_string(const char *bytes, size_t n);

/* Prints an object on one line and deletes it. */
void json_print(cJSON *object);

/* A key of a JSON object, a column of a text table, or both. */
struct field {
    const char *key;     /* NULL: only in the table */
    double number;       /* NAN: null in JSON, an empty cell in the table */
    const char *text;    /* if not NULL, the value instead of `number` */
    const char *heading; /* NULL: only in JSON */
    int width, decimals; /* of the column; a negative width aligns left */
};

#define FIELDS(...) ((const struct field[]){__VA_ARGS__, {0}})
#define NUMBER(key, x)                                                                             \
    {                                                                                              \
        key, x, NULL, NULL, 0, 0                                                                   \
    }
#define TEXT(key, s)                                                                               \
    {                                                                                              \
        key, NAN, s, NULL, 0, 0                                                                    \
    }

/* Adds fields with a key to an object, or to a new one if it is NULL. Returns the object. */
cJSON *json_add(cJSON *object, const struct field *fields);
