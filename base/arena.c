/* arena.c: arenas of anonymous pages. Page faults during a step would cost more than much of its
 * arithmetic, so arena_allocate requests huge pages and touches every page, in parallel. */
#include "base/arena.h"
#include <stdint.h>
#include <sys/mman.h>

enum { ALIGNMENT = 64, PAGE = 4096 };

void *arena_take(struct arena *a, size_t n, size_t element_size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, element_size, &bytes) || bytes > SIZE_MAX / 4 ||
        a->used > SIZE_MAX / 4) {
        a->used = SIZE_MAX / 2; /* no allocation of this size succeeds */
        return NULL;
    }
    const size_t first = a->used;
    a->used += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return a->base ? a->base + first : NULL;
}

int arena_allocate(struct arena *a)
{
    void *base = mmap(NULL, a->used ? a->used : 1, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return -1;
    *a = (struct arena){.base = base, .size = a->used};
    madvise(a->base, a->size, MADV_HUGEPAGE);
#pragma omp parallel for
    for (size_t i = 0; i < a->size; i += PAGE)
        a->base[i] = 0;
    return 0;
}

void arena_free(struct arena *a)
{
    if (a->base)
        munmap(a->base, a->size ? a->size : 1);
    *a = (struct arena){0};
}
