/* arena.h: memory that is taken once, before the first pass, and given back whole. */
#ifndef ARENA_H
#define ARENA_H

#include <stddef.h>

/* Layout is one function that takes every array in turn, called twice: on an arena without memory it only counts, then
 * arena_allocate gets what was counted and the second call hands it out. */
struct arena {
    char *base;
    size_t used, size;
};

/* Bytes for n elements, aligned to a cache line; NULL while counting. */
void *arena_take(struct arena *a, size_t n, size_t element_size);

/* Zeroed pages for all that was counted, touched first by the threads that will work on them. -1 where memory is short. */
int arena_allocate(struct arena *a);
void arena_free(struct arena *a);

#endif
