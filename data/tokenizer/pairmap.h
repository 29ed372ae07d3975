/* pairmap.h: a map from pairs of token ids to numbers: the rank of a merge, the index of a
 * count. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PAIRMAP_NONE = UINT32_MAX };

/* Open addressing with linear probing, at most half full. All zero: empty. */
struct pairmap {
    struct pairmap_slot {
        uint32_t left, right, value; /* value PAIRMAP_NONE: free */
    } * slots;
    size_t n, mask;
};

/* Makes space for n pairs; false if memory is short. */
bool pairmap_reserve(struct pairmap *m, size_t n);
void pairmap_free(struct pairmap *m);

/* The pair's slot, or the free slot where it belongs. After pairmap_reserve. */
static inline struct pairmap_slot *pairmap_slot(const struct pairmap *m, uint32_t left,
                                                uint32_t right)
{
    const uint64_t key = ((uint64_t)left << 32 | right) * 0x9E3779B97F4A7C15;
    size_t i = (key >> 32 ^ key >> 15) & m->mask;
    while (m->slots[i].value != PAIRMAP_NONE &&
           (m->slots[i].left != left || m->slots[i].right != right))
        i = (i + 1) & m->mask;
    return &m->slots[i];
}

static inline uint32_t pairmap_find(const struct pairmap *m, uint32_t left, uint32_t right)
{
    return pairmap_slot(m, left, right)->value;
}

/* Adds a pair that is not in the map. After pairmap_reserve. */
void pairmap_put(struct pairmap *m, uint32_t left, uint32_t right, uint32_t value);
