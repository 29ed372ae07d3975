/* array.c: see array.h. */
#include "base/array.h"
#include <stdlib.h>
#include <string.h>

bool array_reserve_bytes(void *items, size_t *capacity, size_t n, size_t element_size)
{
    void *array;
    if (n <= *capacity)
        return true;
    const size_t larger = n > 2 * *capacity ? n + 3 : 2 * *capacity;
    memcpy(&array, items, sizeof array);
    if (!(array = reallocarray(array, larger, element_size)))
        return false;
    memcpy(items, &array, sizeof array);
    *capacity = larger;
    return true;
}
