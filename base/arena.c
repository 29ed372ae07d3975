/* arena.c: arenas of anonymous pages. Page faults during a step would cost more than much of its
 * arithmetic, so arena_allocate requests huge pages and touches every page, in parallel. */
#include "base/arena.h"
#include <stdint.h>
#include <sys/mman.h>

enum { ALIGNMENT = 64, PAGE = 4096 };

/* In builds with AddressSanitizer, a gap that must not be accessed follows each array: without it,
 * a write beyond an array would land in the next one. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
enum { GAP = ALIGNMENT };
#else
enum { GAP = 0 };
#define ASAN_POISON_MEMORY_REGION(at, size)   ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

void *arena_take(struct arena *a, size_t n, size_t element_size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, element_size, &bytes) || bytes > SIZE_MAX / 4 ||
        a->used > SIZE_MAX / 4) {
        a->used = SIZE_MAX / 2; /* no allocation of this size succeeds */
        return NULL;
    }
    const size_t first = a->used;
    a->used += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT + GAP;
    if (!a->base)
        return NULL;
    ASAN_POISON_MEMORY_REGION(a->base + a->used - GAP, GAP);
    return a->base + first;
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
    if (a->base) {
        ASAN_UNPOISON_MEMORY_REGION(a->base, a->size);
        munmap(a->base, a->size ? a->size : 1);
    }
    *a = (struct arena){0};
}
