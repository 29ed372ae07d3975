/* bytemap.h: a map from byte strings to numbers: words to counts, tokens to ids. Entries keep the
 * order of insertion. */
#ifndef BYTEMAP_H
#define BYTEMAP_H

#include <stddef.h>
#include <stdint.h>

struct bytemap_entry {
    uint64_t value, offset; /* offset in bytes */
    uint32_t length, hash;
};

/* Open addressing with linear probing. All zero: empty. */
struct bytemap {
    struct bytemap_entry *entries; /* (n) */
    char *bytes;
    uint32_t *slots; /* (mask + 1), at most half of them used: 1 + index of an entry, or 0 */
    size_t n, capacity, used, bytes_capacity, mask;
};

/* The entry of a string, or NULL. Valid until the next bytemap_add. */
struct bytemap_entry *bytemap_find(const struct bytemap *m, const char *key, size_t length);
/* The same, after adding the string with value 0 if it is missing. NULL if memory is short or there
 * are 2^30 strings. */
struct bytemap_entry *bytemap_add(struct bytemap *m, const char *key, size_t length);
void bytemap_free(struct bytemap *m);

static inline const char *bytemap_key(const struct bytemap *m, const struct bytemap_entry *e)
{
    return m->bytes + e->offset;
}

#endif
