/* snapshot.c: see snapshot.h. The tensors make nearly all of the file and are gone through once: what belongs to the checksum of
 * the file is combined from their own (zlib's crc32_combine), and a number that is not finite is looked for while the bytes are
 * in the cache. */
#include "train/checkpoint/snapshot.h"
#include "base/atomic.h"
#include "train/checkpoint/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "checkpoints hold the bytes of little-endian numbers as they are");

void snapshot_copy(struct snapshot *s)
{
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < s->count; i++) {
        const struct extent *e = &s->extents[i];
        memcpy(s->image.bytes + e->offset, e->from, e->size);
    }
    s->copied = true;
}

/* Of float32 at any address; not finite is what has all bits of the exponent set. */
static bool all_finite(const unsigned char *bytes, size_t size)
{
    unsigned found = 0;
    for (size_t i = 0; i < size; i += 4) {
        uint32_t bits;
        memcpy(&bits, bytes + i, sizeof bits);
        found |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return !found;
}

static void check_extent(struct snapshot *s, struct extent *e)
{
    enum { CHUNK = 1 << 17 }; /* bytes: a part of a small second-level cache */
    const unsigned char *bytes =
        s->copied ? s->image.bytes + e->offset : (const unsigned char *)e->from;
    char digits[9];
    e->crc = 0;
    for (size_t i = 0; i < e->size; i += CHUNK) {
        const size_t n = e->size - i < CHUNK ? e->size - i : CHUNK;
        e->crc = image_checksum(e->crc, bytes + i, n);
        if (!s->not_finite && !all_finite(bytes + i, n))
            s->not_finite = e;
    }
    snprintf(digits, sizeof digits, "%08x", (unsigned)e->crc);
    memcpy(e->line, digits, 8);
}

void snapshot_seal(struct snapshot *s)
{
    size_t at = USER_BLOCK;
    uint32_t crc = 0;
    s->not_finite = NULL;
    for (size_t i = 0; i < s->count; i++)
        check_extent(s, &s->extents[i]);
    memcpy(s->image.bytes + s->table_offset, s->table, s->table_size);
    for (size_t i = 0; i < s->count; i++) {
        const struct extent *e = &s->extents[i];
        crc = image_checksum(crc, s->image.bytes + at, e->offset - at);
        crc = (uint32_t)crc32_combine(crc, e->crc, (z_off_t)e->size);
        at = e->offset + e->size;
    }
    crc = image_checksum(crc, s->image.bytes + at, s->image.size - at);
    image_write_block(s->image.bytes, s->image.size - USER_BLOCK, s->step, crc);
}

int snapshot_write(const struct snapshot *s, const char *path, struct error *err)
{
    const unsigned char *bytes = s->image.bytes;
    if (s->copied)
        return atomic_write(path, bytes, s->image.size, err);
    struct piece *pieces = calloc(2 * s->count + 1, sizeof *pieces);
    if (!pieces)
        return fail(err, "%s: out of memory", path);
    size_t at = 0, n = 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct extent *e = &s->extents[i];
        pieces[n++] = (struct piece){bytes + at, e->offset - at};
        pieces[n++] = (struct piece){e->from, e->size};
        at = e->offset + e->size;
    }
    pieces[n++] = (struct piece){bytes + at, s->image.size - at};
    const int status = atomic_write_pieces(path, pieces, n, err);
    free(pieces);
    return status;
}

void snapshot_clear(struct snapshot *s)
{
    free(s->extents);
    free(s->table);
    *s = (struct snapshot){.image = s->image};
}
