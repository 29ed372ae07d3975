/* arena.h: memory that is allocated once, before the first pass, and freed as a whole. */
#ifndef ARENA_H
#define ARENA_H

#include <stddef.h>

/* A layout function takes every array from the arena. Call it twice: the first time the arena has
 * no memory and only adds up the sizes; then call arena_allocate, and the second time the layout
 * function receives the pointers. */
struct arena {
    char *base;
    size_t used, size;
};

/* Returns memory for n elements, aligned to a cache line; NULL before arena_allocate. */
void *arena_take(struct arena *a, size_t n, size_t element_size);

/* Allocates zeroed memory of the size taken so far; all threads touch its pages in parallel.
 * Returns 0, or -1 if memory is short. */
int arena_allocate(struct arena *a);
void arena_free(struct arena *a);

#endif
