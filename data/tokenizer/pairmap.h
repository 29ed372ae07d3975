/* pairmap.h: pairs of token ids to a number: which merge a pair is, where its count stands. */
#ifndef PAIRMAP_H
#define PAIRMAP_H

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

/* Room for n pairs; false where memory is short. */
bool pairmap_reserve(struct pairmap *m, size_t n);
void pairmap_free(struct pairmap *m);

static inline size_t pairmap_hash(uint32_t left, uint32_t right)
{
    const uint64_t key = ((uint64_t)left << 32 | right) * 0x9E3779B97F4A7C15;
    return (size_t)(key >> 32 ^ key >> 15);
}

/* The pair's slot, or the free one where it belongs. There are slots. */
static inline struct pairmap_slot *pairmap_slot(const struct pairmap *m, uint32_t left,
                                                uint32_t right)
{
    size_t i = pairmap_hash(left, right) & m->mask;
    while (m->slots[i].value != PAIRMAP_NONE &&
           (m->slots[i].left != left || m->slots[i].right != right))
        i = (i + 1) & m->mask;
    return &m->slots[i];
}

/* PAIRMAP_NONE where it is not there. */
static inline uint32_t pairmap_find(const struct pairmap *m, uint32_t left, uint32_t right)
{
    return pairmap_slot(m, left, right)->value;
}

/* Takes a pair that is not there, after pairmap_reserve. */
void pairmap_put(struct pairmap *m, uint32_t left, uint32_t right, uint32_t value);

#endif
