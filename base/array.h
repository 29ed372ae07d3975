/* array.h: growing arrays. */
#ifndef ARRAY_H
#define ARRAY_H

#include <stdbool.h>
#include <stddef.h>

/* Ensures that the array at *items, with *capacity elements allocated, can hold n. On failure
 * returns false and changes nothing. */
#define array_reserve(items, capacity, n) array_reserve_bytes(items, capacity, n, sizeof **(items))

/* items points to the array's pointer. Capacity at least doubles. */
bool array_reserve_bytes(void *items, size_t *capacity, size_t n, size_t element_size);

#endif
