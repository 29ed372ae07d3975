/* output.h: what several commands print. */
#ifndef OUTPUT_H
#define OUTPUT_H

#include "base/error.h"
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

/* Prints bytes with \n and \t for line ends and tabs, and \xNN for other control characters and
 * invalid UTF-8. If `quote` is not 0, that character and the backslash are escaped as well. */
void print_escaped(const char *bytes, size_t n, char quote);

/* An empty object. From the first call on, failed allocations of cJSON are recorded, so that the
 * result of every cJSON_Add… need not be checked. */
cJSON *json_create(void);
/* Whether an allocation has failed: then objects are incomplete. */
bool json_failed(void);
/* Prints an object on one line and frees it. Fails if it is incomplete. */
int json_print(cJSON *object, struct error *err);

#endif
