/* bytemap.h: a set of byte strings, numbered 0, 1, … in the order in which they came: words with their counts, tokens with their
 * ids (the values lie in an array of the caller's, by number). Its memory is that of the strings and 28 bytes for each. */
#ifndef BYTEMAP_H
#define BYTEMAP_H

#include <stddef.h>
#include <stdint.h>

enum { BYTEMAP_NONE = UINT32_MAX };

struct bytemap_entry {
    uint64_t offset; /* into bytes */
    uint32_t length, hash;
};

/* All zero: empty. */
struct bytemap {
    struct bytemap_entry *entries;
    char *bytes;
    uint32_t *slots; /* 1 + the number; 0 where free */
    size_t n, capacity, used, room, mask;
};

/* The string's number; BYTEMAP_NONE where it is not there, or, from add, where memory is short (or 2^31 strings are reached). */
uint32_t bytemap_find(const struct bytemap *m, const char *key, size_t length);
uint32_t bytemap_add(struct bytemap *m, const char *key, size_t length);
void bytemap_free(struct bytemap *m);

static inline const char *bytemap_key(const struct bytemap *m, uint32_t i, size_t *length)
{
    *length = m->entries[i].length;
    return m->bytes + m->entries[i].offset;
}

#endif
