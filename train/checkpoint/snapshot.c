/* snapshot.c: see snapshot.h. The tensors are nearly all of the file and are read once: the
 * checksum of the file is combined from theirs (zlib's crc32_combine), and numbers that are not
 * finite are detected while the bytes are in the cache. */
#include "train/checkpoint/snapshot.h"
#include "base/atomic.h"
#include "base/minmax.h"
#include "train/checkpoint/checkpoint_parts.h"
#include "train/checkpoint/image.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct range snapshot_gap(const struct snapshot *s, size_t i)
{
    const size_t begin = i ? s->extents[i - 1].offset + s->extents[i - 1].size : 0;
    return (struct range){begin, (i < s->count ? s->extents[i].offset : s->image.size) - begin};
}

void snapshot_copy(struct snapshot *s)
{
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < s->count; i++) {
        const struct extent *e = &s->extents[i];
        memcpy(s->image.bytes + e->offset, e->from, e->size);
    }
    s->copied = true;
}

/* Of float32 at any address. A number is not finite if all bits of its exponent are set. */
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
    enum { CHUNK = 1 << 17 }; /* bytes: part of a small second-level cache */
    const unsigned char *bytes =
        s->copied ? s->image.bytes + e->offset : (const unsigned char *)e->from;
    e->crc = 0;
    for (size_t i = 0; i < e->size; i += CHUNK) {
        const size_t n = size_min(e->size - i, CHUNK);
        e->crc = (uint32_t)crc32_z(e->crc, bytes + i, n);
        if (!s->not_finite && !all_finite(bytes + i, n))
            s->not_finite = e;
    }
}

void snapshot_seal(struct snapshot *s)
{
    char line[CRC_LINE_MAX];
    unsigned char *bytes = s->image.bytes, *table = bytes + s->table_offset;
    s->not_finite = NULL;
    for (size_t i = 0; i < s->count; i++) {
        struct extent *e = &s->extents[i];
        check_extent(s, e);
        const size_t n = crc_line(line, e->crc, e->group, e->name);
        memcpy(table, line, n);
        table += n;
    }
    uLong crc = 0;
    for (size_t i = 0; i <= s->count; i++) {
        const struct range gap = snapshot_gap(s, i);
        const size_t skip = i ? 0 : USER_BLOCK;
        crc = crc32_z(crc, bytes + gap.offset + skip, gap.size - skip);
        if (i < s->count)
            crc = crc32_combine(crc, s->extents[i].crc, (z_off_t)s->extents[i].size);
    }
    image_write_block(bytes, s->image.size - USER_BLOCK, s->step, (uint32_t)crc);
}

int snapshot_write(const struct snapshot *s, const char *path, struct error *err)
{
    if (s->copied)
        return atomic_write(path, s->image.bytes, s->image.size, err);
    struct piece *pieces = calloc(2 * s->count + 1, sizeof *pieces);
    if (!pieces)
        return fail(err, "%s: out of memory", path);
    size_t n = 0;
    for (size_t i = 0; i <= s->count; i++) {
        const struct range gap = snapshot_gap(s, i);
        pieces[n++] = (struct piece){s->image.bytes + gap.offset, gap.size};
        if (i < s->count)
            pieces[n++] = (struct piece){s->extents[i].from, s->extents[i].size};
    }
    const int status = atomic_write_pieces(path, pieces, n, err);
    free(pieces);
    return status;
}

void snapshot_clear(struct snapshot *s)
{
    free(s->extents);
    *s = (struct snapshot){.image = s->image};
}
