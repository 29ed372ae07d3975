/* json_numbers.h: arrays of numbers for cJSON, in a given precision and without an item for each.
 *
 * cJSON leaves out an item for which there is no memory. Printing the tree, which needs more memory
 * than any item, fails then. */
#pragma once

#include <cjson/cJSON.h>
#include <stddef.h>

/* The n numbers x[0], x[stride], … with so many significant digits, as one raw item. Numbers that
 * are not finite become null. Returns NULL if out of memory. */
cJSON *json_numbers(const double *x, size_t n, size_t stride, int digits);
