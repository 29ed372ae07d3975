/* json_numbers.h: arrays of numbers for cJSON, in a given precision and without an item for each.
 *
 * cJSON leaves out an item for which there is no memory. Printing the tree, which needs more memory than any item, fails then. */
#ifndef JSON_NUMBERS_H
#define JSON_NUMBERS_H

#include <cjson/cJSON.h>
#include <stddef.h>

/* x (n) in so many significant digits as one raw item; numbers that are not finite become null. Returns NULL if out of memory. */
cJSON *json_numbers(const double *x, size_t n, int digits);

#endif
