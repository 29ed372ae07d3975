/* bytemap.c: see bytemap.h. */
#include "data/tokenizer/bytemap.h"
#include "base/array.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_ENTRIES = 1 << 30 };

/* FNV-1a (Fowler, Noll and Vo), folded. */
static uint32_t hash_bytes(const char *key, size_t n)
{
    uint64_t h = 0xCBF29CE484222325;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)key[i]) * 0x100000001B3;
    return (uint32_t)(h ^ h >> 32);
}

/* The slot of a string, or the free slot where it belongs. */
static uint32_t *find_slot(const struct bytemap *m, const char *key, size_t length, uint32_t hash)
{
    size_t i = hash & m->mask;
    for (; m->slots[i]; i = (i + 1) & m->mask) {
        const struct bytemap_entry *e = &m->entries[m->slots[i] - 1];
        if (e->hash == hash && e->length == length && memcmp(bytemap_key(m, e), key, length) == 0)
            break;
    }
    return &m->slots[i];
}

struct bytemap_entry *bytemap_find(const struct bytemap *m, const char *key, size_t length)
{
    if (!m->slots)
        return NULL;
    const uint32_t slot = *find_slot(m, key, length, hash_bytes(key, length));
    return slot ? &m->entries[slot - 1] : NULL;
}

/* Makes space for one more entry. */
static bool grow(struct bytemap *m)
{
    if (m->n == MAX_ENTRIES || !array_reserve(&m->entries, &m->capacity, m->n + 1))
        return false;
    if (m->slots && 2 * (m->n + 1) <= m->mask + 1)
        return true;
    const size_t size = m->slots ? 2 * (m->mask + 1) : 512;
    uint32_t *slots = calloc(size, sizeof *slots);
    if (!slots)
        return false;
    free(m->slots);
    m->slots = slots;
    m->mask = size - 1;
    for (size_t i = 0; i < m->n; i++) {
        size_t s = m->entries[i].hash & m->mask;
        while (slots[s])
            s = (s + 1) & m->mask;
        slots[s] = (uint32_t)i + 1;
    }
    return true;
}

struct bytemap_entry *bytemap_add(struct bytemap *m, const char *key, size_t length)
{
    if (!grow(m))
        return NULL;
    const uint32_t hash = hash_bytes(key, length);
    uint32_t *slot = find_slot(m, key, length, hash);
    if (!*slot) {
        if (length > UINT32_MAX || !array_reserve(&m->bytes, &m->bytes_capacity, m->used + length))
            return NULL;
        memcpy(m->bytes + m->used, key, length);
        m->entries[m->n] = (struct bytemap_entry){0, m->used, (uint32_t)length, hash};
        m->used += length;
        *slot = (uint32_t)++m->n;
    }
    return &m->entries[*slot - 1];
}

void bytemap_free(struct bytemap *m)
{
    free(m->entries);
    free(m->bytes);
    free(m->slots);
    *m = (struct bytemap){0};
}
