/* h5_read.c: see h5_read.h. What an open file holds: groups, attributes, the bytes of datasets. What its index says has been
 * checked (h5_open.c).
 *
 * Formats of what is unpacked here: HDF5's documentation of its filters ("HDF5 File Format Specification 3.0", IV.A.2.l; the
 * checksum is Fletcher's over 16-bit big-endian words).
 */
#include "base/input_file.h"
#include "data/hdf5/h5_reader.h"
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* --- finding --- */

struct h5_node h5_root(const struct h5_reader *r)
{
    return (struct h5_node){r, r->entries};
}

/* Names are sorted; where they are not, some are not found. */
static const struct h5_entry *find(const struct h5_reader *r, uint64_t first, uint64_t n,
                                   const char *name)
{
    while (n > 0) {
        const struct h5_entry *e = &r->entries[first + n / 2];
        const int order = strcmp(name, r->text + e->name);
        if (order == 0)
            return e;
        if (order > 0)
            first += n / 2 + 1, n -= n / 2 + 1;
        else
            n /= 2;
    }
    return NULL;
}

bool h5_member(struct h5_node group, const char *name, struct h5_node *member)
{
    *member = (struct h5_node){group.in, NULL};
    if (group.is->kind == KIND_GROUP)
        member->is = find(group.in, group.is->members, group.is->n_members, name);
    return member->is != NULL;
}

bool h5_group(struct h5_node group, const char *path, struct h5_node *found)
{
    char name[64];
    const size_t n = strcspn(path, "/");
    if (n >= sizeof name)
        return false;
    memcpy(name, path, n);
    name[n] = '\0';
    return h5_member(group, name, found) && found->is->kind == KIND_GROUP &&
           (!path[n] || h5_group(*found, path + n + 1, found));
}

/* --- attributes --- */

static const struct h5_entry *find_attribute(struct h5_node object, const char *name)
{
    const struct h5_entry *e =
        find(object.in, object.is->attributes, object.is->n_attributes, name);
    return e && e->kind == KIND_ATTRIBUTE
               ? e
               : NULL; /* of what is none, nothing has been checked that an attribute needs */
}

bool h5_has_attribute(struct h5_node object, const char *name)
{
    return find_attribute(object, name) != NULL;
}

static const struct h5_entry *get_attribute(struct h5_node object, const char *name,
                                            const char *file, struct error *err)
{
    const struct h5_entry *e = find_attribute(object, name);
    if (!e)
        fail(err, "%s: attribute %s is missing", file, name);
    return e;
}

int h5_read_u64(struct h5_node object, const char *name, uint64_t *value, const char *file,
                struct error *err)
{
    const struct h5_entry *e = get_attribute(object, name, file, err);
    if (!e)
        return -1;
    if (e->type == TYPE_NEGATIVE)
        return fail(err, "%s: attribute %s: expected an integer from 0 to 2^64 - 1", file, name);
    if (e->type != TYPE_U64)
        return fail(err, "%s: attribute %s: expected one integer", file, name);
    *value = e->value;
    return 0;
}

int h5_read_f64(struct h5_node object, const char *name, double *value, const char *file,
                struct error *err)
{
    const struct h5_entry *e = get_attribute(object, name, file, err);
    if (!e)
        return -1;
    if (e->type != TYPE_F64)
        return fail(err, "%s: attribute %s: expected one floating-point number", file, name);
    memcpy(value, &e->value, sizeof *value);
    return 0;
}

int h5_read_string(struct h5_node object, const char *name, char **value, const char *file,
                   struct error *err)
{
    *value = NULL;
    const struct h5_entry *e = get_attribute(object, name, file, err);
    if (!e)
        return -1;
    if (e->type == TYPE_LONG_STRING)
        return fail(err, "%s: attribute %s: expected a string of fixed length, of at most 16 MiB",
                    file, name);
    if (e->type != TYPE_STRING)
        return fail(err, "%s: attribute %s: expected one string", file, name);
    *value = strdup(object.in->text + e->offset);
    return *value ? 0 : fail(err, "%s: attribute %s: out of memory", file, name);
}

/* --- datasets --- */

size_t h5_width(struct h5_node dataset)
{
    return h5_type_width(dataset.is->type);
}

/* NULL where the dataset is one that h5_find_dataset promises, otherwise what it is not. */
static const char *complaint(const struct h5_entry *e, enum h5_type type, uint64_t max_length)
{
    if (e->kind == KIND_LINK)
        return "expected a dataset, not a link to one";
    if (e->kind != KIND_DATASET)
        return "not a dataset, or damaged";
    if (e->type != type)
        return "expected another type";
    if (e->ndim != 1)
        return "expected one dimension";
    if (e->dims[0] == 0)
        return "empty";
    if (e->dims[0] > max_length)
        return "longer than it can be";
    switch (e->layout) {
    case LAYOUT_CHUNKED:
        return NULL;
    case LAYOUT_CONTIGUOUS:
        return e->size == e->dims[0] * h5_type_width(type)
                   ? NULL
                   : "its storage is not as long as its shape says";
    case LAYOUT_EXTERNAL:
        return "expected a dataset that lies in this file";
    case LAYOUT_FILTERED:
        return "expected no filters but shuffle, deflate and fletcher32";
    case LAYOUT_LARGE_CHUNKS:
        return "expected chunks of at most 1048576 elements";
    case LAYOUT_MISSING_CHUNKS: /* they would read as zeros */
        return "chunks are missing";
    default:
        return "expected a contiguous or chunked dataset";
    }
}

int h5_find_dataset(struct h5_node group, const char *name, enum h5_type type, uint64_t max_length,
                    struct h5_node *dataset, const char *file, struct error *err)
{
    if (!h5_member(group, name, dataset))
        return fail(err, "%s: /%s: missing", file, name);
    const char *wrong = complaint(dataset->is, type, max_length);
    return wrong ? fail(err, "%s: /%s: %s", file, name, wrong) : 0;
}

static int read_bytes(const struct h5_reader *r, uint64_t offset, void *bytes, size_t size,
                      const char *file, struct error *err)
{
    if (!h5_is_range(offset, size, r->size))
        return fail(err, "%s: truncated", file);
    if (r->fd >= 0)
        return input_file_read(r->fd, offset, bytes, size, file, err);
    memcpy(bytes, r->bytes + offset, size);
    return 0;
}

/* HDF5's form of Fletcher's checksum: 16-bit words, the first byte the higher. */
static uint32_t fletcher32(const unsigned char *p, size_t size)
{
    uint32_t a = 0, b = 0;
    for (size_t words = size / 2; words;) {
        size_t n = words < 360 ? words : 360; /* no sum overflows before */
        for (words -= n; n; n--, p += 2) {
            a += (uint32_t)p[0] << 8 | p[1];
            b += a;
        }
        a = (a & 0xFFFF) + (a >> 16);
        b = (b & 0xFFFF) + (b >> 16);
    }
    if (size % 2) {
        a += (uint32_t)*p << 8;
        b += a;
        a = (a & 0xFFFF) + (a >> 16);
        b = (b & 0xFFFF) + (b >> 16);
    }
    a = (a & 0xFFFF) + (a >> 16);
    b = (b & 0xFFFF) + (b >> 16);
    return b << 16 | a;
}

/* Byte j of element i stands at j n + i. */
static void unshuffle(unsigned char *out, const unsigned char *in, size_t size, size_t width)
{
    const size_t n = size / width;
    for (size_t j = 0; j < width; j++)
        for (size_t i = 0; i < n; i++)
            out[i * width + j] = in[j * n + i];
    memcpy(out + n * width, in + n * width, size - n * width);
}

/* Two buffers that the filters of one chunk go back and forth between. */
struct unpack {
    unsigned char *from, *to;
    size_t size, capacity;
};

/* Undoes one filter; NULL, or what is wrong. No output is longer than the buffer, so no input can make us allocate. */
static const char *undo(struct unpack *u, uint32_t filter, size_t width)
{
    uLongf size = u->capacity;
    if (filter == FILTER_FLETCHER32) {
        if (u->size < 4)
            return "a chunk is damaged";
        u->size -= 4;
        uint32_t stored;
        memcpy(&stored, u->from + u->size, 4);
        return le32toh(stored) == fletcher32(u->from, u->size) ? NULL
                                                               : "the checksum of a chunk is wrong";
    }
    if (filter == FILTER_SHUFFLE)
        unshuffle(u->to, u->from, u->size, width);
    else if (uncompress(u->to, &size, u->from, u->size) != Z_OK)
        return "a chunk cannot be unpacked";
    else
        u->size = size;
    unsigned char *swap = u->from;
    u->from = u->to;
    u->to = swap;
    return NULL;
}

/* Integers and floats alike: our types are little-endian. */
static void to_machine(unsigned char *elements, size_t n, size_t width)
{
    for (size_t i = 0; BYTE_ORDER != LITTLE_ENDIAN && i < n; i++)
        for (size_t j = 0; j < width / 2; j++) {
            const unsigned char c = elements[i * width + j];
            elements[i * width + j] = elements[i * width + width - 1 - j];
            elements[i * width + width - 1 - j] = c;
        }
}

static int unpack_chunk(struct h5_node d, const struct h5_chunk *c, struct unpack *u,
                        void *elements, const char *file, struct error *err)
{
    const size_t width = h5_width(d), raw = d.is->chunk * width;
    const char *wrong = NULL;
    if (read_bytes(d.in, c->offset, u->from, c->size, file, err) != 0)
        return -1;
    for (uint32_t i = d.is->n_filters; i-- > 0 && !wrong;)
        if (!(c->skipped >> i & 1))
            wrong = undo(u, d.is->filters[i], width);
    if (!wrong && u->size != raw)
        wrong = "a chunk has another length than its shape says";
    if (wrong)
        return fail(err, "%s: /%s: %s", file, d.in->text + d.is->name, wrong);
    memcpy(elements, u->from, raw);
    to_machine(elements, d.is->chunk, width);
    return 0;
}

int h5_read_chunk(struct h5_node d, uint64_t k, void *elements, const char *file, struct error *err)
{
    const struct h5_chunk *c = &d.in->chunks[d.is->offset + k];
    const size_t raw = d.is->chunk * h5_width(d),
                 capacity = (raw > c->size ? raw : c->size) + 64; /* a checksum may be packed */
    unsigned char *memory = malloc(2 * capacity);
    if (!memory)
        return fail(err, "%s: out of memory for a chunk of %zu bytes", file, raw);
    struct unpack u = {memory, memory + capacity, c->size, capacity};
    const int status = unpack_chunk(d, c, &u, elements, file, err);
    free(memory);
    return status;
}

/* The same piece by piece: a chunk that is wanted in part is unpacked aside. */
static int read_chunked(struct h5_node d, uint64_t first, size_t n, unsigned char *to,
                        const char *file, struct error *err)
{
    const size_t width = h5_width(d), chunk = d.is->chunk;
    unsigned char *aside = malloc(chunk * width);
    int status = aside ? 0 : fail(err, "%s: out of memory for a chunk", file);
    while (n > 0 && status == 0) {
        const size_t skip = first % chunk, m = chunk - skip < n ? chunk - skip : n;
        status = h5_read_chunk(d, first / chunk, aside, file, err);
        if (status == 0)
            memcpy(to, aside + skip * width, m * width);
        to += m * width, first += m, n -= m;
    }
    free(aside);
    return status;
}

int h5_read(struct h5_node d, uint64_t first, size_t n, void *elements, const char *file,
            struct error *err)
{
    const size_t width = h5_width(d);
    uint64_t all;
    if (!h5_count_elements(d.is, &all) || !h5_is_range(first, n, all) ||
        (d.is->layout == LAYOUT_CONTIGUOUS && !h5_is_range(first * width, n * width, d.is->size)))
        return fail(err, "%s: /%s: shorter than expected", file, d.in->text + d.is->name);
    if (d.is->layout == LAYOUT_CHUNKED)
        return read_chunked(d, first, n, elements, file, err);
    if (d.is->layout != LAYOUT_CONTIGUOUS)
        return fail(err, "%s: /%s: expected a contiguous or chunked dataset", file,
                    d.in->text + d.is->name);
    if (read_bytes(d.in, d.is->offset + first * width, elements, n * width, file, err) != 0)
        return -1;
    to_machine(elements, n, width);
    return 0;
}
