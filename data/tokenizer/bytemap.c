/* bytemap.c: a set of byte strings: open addressing with linear probing, at most half full; the strings lie one behind the other. */
#include "data/tokenizer/bytemap.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ENTRIES = 1 << 30 };

/* Eight bytes at a time, each folded in by a multiplication whose two halves are mixed (the idea of Wang Yi's wyhash). */
static uint64_t fold(uint64_t a, uint64_t b)
{
    const unsigned __int128 p = (unsigned __int128)a * b;
    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static uint32_t hash_bytes(const char *key, size_t n)
{
    uint64_t h = 0x9E3779B97F4A7C15 ^ n, word;
    for (; n >= 8; key += 8, n -= 8) {
        memcpy(&word, key, 8);
        h = fold(h ^ word, 0xD6E8FEB86659FD93);
    }
    word = 0;
    memcpy(&word, key, n);
    return (uint32_t)fold(h ^ word, 0xA0761D6478BD642F);
}

static size_t find_slot(const struct bytemap *m, const char *key, size_t length, uint32_t hash)
{
    size_t i = hash & m->mask;
    for (; m->slots[i]; i = (i + 1) & m->mask) {
        const struct bytemap_entry *e = &m->entries[m->slots[i] - 1];
        if (e->hash == hash && e->length == length &&
            memcmp(m->bytes + e->offset, key, length) == 0)
            break;
    }
    return i;
}

uint32_t bytemap_find(const struct bytemap *m, const char *key, size_t length)
{
    if (!m->slots)
        return BYTEMAP_NONE;
    const uint32_t slot = m->slots[find_slot(m, key, length, hash_bytes(key, length))];
    return slot ? slot - 1 : BYTEMAP_NONE;
}

/* Twice as many entries, and four times as many slots as entries before: at most half of them are taken. */
static bool grow(struct bytemap *m)
{
    const size_t capacity = m->capacity ? 2 * m->capacity : 256;
    struct bytemap_entry *entries = realloc(m->entries, capacity * sizeof *entries);
    if (!entries)
        return false;
    m->entries = entries;
    uint32_t *slots = calloc(2 * capacity, sizeof *slots);
    if (!slots)
        return false;
    free(m->slots);
    m->slots = slots;
    m->mask = 2 * capacity - 1;
    m->capacity = capacity;
    for (size_t i = 0; i < m->n; i++) {
        size_t s = entries[i].hash & m->mask;
        while (slots[s])
            s = (s + 1) & m->mask;
        slots[s] = (uint32_t)i + 1;
    }
    return true;
}

static bool reserve(struct bytemap *m, size_t length)
{
    if (m->room - m->used >= length)
        return true;
    const size_t room = 2 * m->room + length + 4096;
    char *bytes = realloc(m->bytes, room);
    if (!bytes)
        return false;
    m->bytes = bytes;
    m->room = room;
    return true;
}

uint32_t bytemap_add(struct bytemap *m, const char *key, size_t length)
{
    const uint32_t hash = hash_bytes(key, length);
    if (m->n == m->capacity && (m->n >= MAX_ENTRIES || !grow(m)))
        return BYTEMAP_NONE;
    const size_t slot = find_slot(m, key, length, hash);
    if (m->slots[slot])
        return m->slots[slot] - 1;
    if (length > UINT32_MAX || !reserve(m, length))
        return BYTEMAP_NONE;
    memcpy(m->bytes + m->used, key, length);
    m->entries[m->n] = (struct bytemap_entry){m->used, (uint32_t)length, hash};
    m->used += length;
    m->slots[slot] = (uint32_t)++m->n;
    return (uint32_t)m->n - 1;
}

void bytemap_free(struct bytemap *m)
{
    free(m->entries);
    free(m->bytes);
    free(m->slots);
    *m = (struct bytemap){0};
}
