/* arena.h: one allocation for all arrays of a model, made before the first pass. */
#ifndef ARENA_H
#define ARENA_H

#include <stddef.h>

/* The layout is a function that takes every array from the arena. It runs twice: on an empty arena
 * it only counts bytes; after arena_allocate it hands out the memory. */
struct arena {
    char *base;
    size_t used, size;
};

/* n elements, aligned to a cache line; NULL while counting. */
void *arena_take(struct arena *a, size_t n, size_t element_size);

/* Allocates what was counted: zeroed pages, each first touched by the thread that will use it. -1
 * if memory is short. */
int arena_allocate(struct arena *a);
void arena_free(struct arena *a);

#endif
