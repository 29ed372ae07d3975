/* pairmap.c: see pairmap.h. */
#include "data/tokenizer/pairmap.h"
#include <stdlib.h>

bool pairmap_reserve(struct pairmap *m, size_t n)
{
    if (m->slots && 2 * n <= m->mask + 1)
        return true;
    size_t size = 64;
    while (size < 2 * n)
        size *= 2;
    struct pairmap larger = {malloc(size * sizeof *m->slots), 0, size - 1};
    if (!larger.slots)
        return false;
    for (size_t i = 0; i < size; i++)
        larger.slots[i].value = PAIRMAP_NONE;
    for (size_t i = 0; m->slots && i <= m->mask; i++)
        if (m->slots[i].value != PAIRMAP_NONE)
            pairmap_put(&larger, m->slots[i].left, m->slots[i].right, m->slots[i].value);
    free(m->slots);
    *m = larger;
    return true;
}

void pairmap_put(struct pairmap *m, uint32_t left, uint32_t right, uint32_t value)
{
    *pairmap_slot(m, left, right) = (struct pairmap_slot){left, right, value};
    m->n++;
}

void pairmap_free(struct pairmap *m)
{
    free(m->slots);
    *m = (struct pairmap){0};
}
