/* json.h: JSON that commands print. */
#ifndef JSON_H
#define JSON_H

#include <cjson/cJSON.h>
#include <stddef.h>

/* From now on, the program ends with an error if memory for JSON is short. cJSON leaves out what it
 * cannot allocate, so that commands would print incomplete results. */
void json_require_memory(void);

/* A string. JSON cannot hold arbitrary bytes, and cJSON no zeros: invalid UTF-8 and zeros become
 * U+FFFD. Returns NULL if out of memory. */
cJSON *json_string(const char *bytes, size_t n);

/* Prints an object on one line and deletes it. */
void json_print(cJSON *object);

#endif
