/* h5_read.c: groups, attributes and data of an open file, whose index h5_open.c has checked.
 *
 * The packed formats are described in the HDF5 File Format Specification 3.0, IV.A.2.l.
 */
#include "data/hdf5/h5_read.h"
#include "base/input_file.h"
#include "base/minmax.h"
#include "data/hdf5/h5_reader.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* --- groups --- */

struct h5_node h5_root(const struct h5_reader *r)
{
    return (struct h5_node){r, r->entries};
}

const char *h5_file_name(struct h5_node node)
{
    return node.reader->file;
}

static const char *node_name(struct h5_node node)
{
    return node.reader->text + node.entry->name;
}

static int fail_dataset(struct h5_node dataset, const char *what, struct error *err)
{
    return fail(err, "%s: /%s: %s", dataset.reader->file, node_name(dataset), what);
}

/* Finds the entry PARENT SEPARATOR NAME by binary search. If an index from the sandbox is not
 * sorted, some are not found. */
static const struct h5_entry *find(struct h5_node parent, const char *separator, const char *name)
{
    const struct h5_reader *r = parent.reader;
    char key[1024];
    if (snprintf(key, sizeof key, "%s%s%s", node_name(parent), separator, name) >= (int)sizeof key)
        return NULL;
    for (uint64_t low = 0, high = r->n_entries; low < high;) {
        const uint64_t middle = (low + high) / 2;
        const struct h5_entry *e = &r->entries[middle];
        const int order = strcmp(key, r->text + e->name);
        if (order == 0)
            return e;
        if (order > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool h5_member(struct h5_node group, const char *name, struct h5_node *member)
{
    *member = (struct h5_node){group.reader, find(group, *node_name(group) ? "/" : "", name)};
    return *name && member->entry && member->entry->kind != KIND_ATTRIBUTE;
}

bool h5_group(struct h5_node group, const char *path, struct h5_node *found)
{
    return h5_member(group, path, found) && found->entry->kind == KIND_GROUP;
}

/* --- attributes --- */

bool h5_has_attribute(struct h5_node object, const char *name)
{
    return find(object, H5_ATTRIBUTE, name) != NULL;
}

/* fail(err, "FILE: [GROUP: ]attribute NAMEWHAT") */
static int fail_attribute(struct h5_node object, const char *name, const char *what,
                          struct error *err)
{
    return fail(err, "%s: %s%sattribute %s%s", object.reader->file, node_name(object),
                *node_name(object) ? ": " : "", name, what);
}

static const struct h5_entry *get_attribute(struct h5_node object, const char *name,
                                            enum h5_type type, const char *expected,
                                            struct error *err)
{
    const struct h5_entry *e = find(object, H5_ATTRIBUTE, name);
    /* Only entries of this kind have been checked as attributes. */
    const bool exists = e && e->kind == KIND_ATTRIBUTE;
    if (exists && e->type == type)
        return e;
    fail_attribute(object, name, exists ? expected : " is missing", err);
    return NULL;
}

int h5_read_u64(struct h5_node object, const char *name, uint64_t *value, struct error *err)
{
    const struct h5_entry *e =
        get_attribute(object, name, TYPE_U64, ": expected one integer from 0 to 2^64 - 1", err);
    if (!e)
        return -1;
    *value = e->value;
    return 0;
}

int h5_read_f64(struct h5_node object, const char *name, double *value, struct error *err)
{
    const struct h5_entry *e =
        get_attribute(object, name, TYPE_F64, ": expected one floating-point number", err);
    if (!e)
        return -1;
    memcpy(value, &e->value, sizeof *value);
    return 0;
}

int h5_read_string(struct h5_node object, const char *name, char **value, struct error *err)
{
    const struct h5_entry *e = get_attribute(
        object, name, TYPE_STRING, ": expected one string of fixed length, of at most 16 MiB", err);
    *value = e ? strdup(object.reader->text + e->offset) : NULL;
    return *value ? 0 : e ? fail_attribute(object, name, ": out of memory", err) : -1;
}

/* --- finding datasets --- */

size_t h5_width(struct h5_node dataset)
{
    return h5_type_width(dataset.entry->type);
}

/* NULL if h5_find_dataset may return the entry, otherwise why not. */
static const char *dataset_error(const struct h5_entry *e, enum h5_type type, uint64_t max_length)
{
    static const char *const LAYOUT_ERRORS[LAYOUTS] = {
        [LAYOUT_OTHER] = "expected a contiguous or chunked dataset",
        [LAYOUT_EXTERNAL] = "expected a dataset that is stored in this file",
        [LAYOUT_FILTERED] = "expected no filters but shuffle, deflate and fletcher32",
        [LAYOUT_LARGE_CHUNKS] = "expected chunks of at most 1048576 elements",
        [LAYOUT_MISSING_CHUNKS] = "chunks are missing" /* libhdf5 would read zeros */};
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
        return "too long";
    if (e->layout == LAYOUT_CONTIGUOUS && e->size != e->dims[0] * h5_type_width(type))
        return "its storage does not have the size of its shape";
    return LAYOUT_ERRORS[e->layout];
}

int h5_find_dataset(struct h5_node group, const char *name, enum h5_type type, uint64_t max_length,
                    struct h5_node *dataset, struct error *err)
{
    const char *error = h5_member(group, name, dataset)
                            ? dataset_error(dataset->entry, type, max_length)
                            : "missing";
    return error ? fail(err, "%s: /%s: %s", group.reader->file, name, error) : 0;
}

void *h5_read_array(struct h5_node group, const char *name, enum h5_type type, uint64_t length,
                    struct error *err)
{
    struct h5_node d;
    if (h5_find_dataset(group, name, type, (uint64_t)1 << 40, &d, err))
        return NULL;
    if (d.entry->dims[0] != length)
        return fail_null(err, "%s: /%s: %" PRIu64 " elements, expected %" PRIu64,
                         group.reader->file, name, d.entry->dims[0], length);
    void *elements = malloc(length * h5_width(d));
    if (!elements)
        fail_dataset(d, "out of memory", err);
    else if (h5_read(d, 0, length, elements, err) == 0)
        return elements;
    free(elements);
    return NULL;
}

/* --- unpacking --- */

static int read_bytes(const struct h5_reader *r, uint64_t offset, void *bytes, size_t size,
                      struct error *err)
{
    if (!h5_is_range(offset, size, r->size))
        return fail(err, "%s: truncated", r->file);
    if (r->fd >= 0)
        return input_file_read(r->fd, offset, bytes, size, r->file, err);
    memcpy(bytes, r->bytes + offset, size);
    return 0;
}

/* HDF5's variant of Fletcher's checksum: of big-endian 16-bit words. */
static uint32_t fletcher32(const unsigned char *p, size_t size)
{
    uint32_t a = 0, b = 0;
    for (const unsigned char *end = p + size; p < end;) {
        /* No sum overflows within 360 words. */
        for (size_t n = 0; n < 360 && p < end; n++, p += 2) {
            a += (uint32_t)p[0] << 8 | (p + 1 < end ? p[1] : 0);
            b += a;
        }
        a = (a & 0xFFFF) + (a >> 16);
        b = (b & 0xFFFF) + (b >> 16);
    }
    a = (a & 0xFFFF) + (a >> 16);
    b = (b & 0xFFFF) + (b >> 16);
    return b << 16 | a;
}

/* Byte j of element i is stored at j n + i. */
static void unshuffle(unsigned char *out, const unsigned char *in, size_t size, size_t width)
{
    const size_t n = size / width;
    for (size_t j = 0; j < width; j++)
        for (size_t i = 0; i < n; i++)
            out[i * width + j] = in[j * n + i];
    memcpy(out + n * width, in + n * width, size - n * width);
}

/* The two buffers between which the filters of a chunk alternate. */
struct unpack {
    unsigned char *from, *to;
    size_t size, capacity;
};

/* Undoes one filter within the buffers' capacity. Returns NULL, or an error. */
static const char *undo_filter(struct unpack *u, uint32_t filter, size_t width)
{
    uLongf size = u->capacity;
    if (filter == FILTER_FLETCHER32) {
        if (u->size < 4)
            return "a chunk is damaged";
        u->size -= 4;
        uint32_t stored;
        memcpy(&stored, u->from + u->size, 4);
        return stored == fletcher32(u->from, u->size) ? NULL : "the checksum of a chunk is wrong";
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

/* Chunk k, padded to full length if it is the last. */
static int read_chunk(struct h5_node d, uint64_t k, unsigned char *elements, struct error *err)
{
    const struct h5_chunk *c = &d.reader->chunks[d.entry->offset + k];
    const size_t width = h5_width(d), raw = d.entry->chunk * width,
                 capacity = size_max(raw, c->size) + 64; /* a checksum may be packed */
    unsigned char *memory = malloc(2 * capacity);
    if (!memory)
        return fail(err, "%s: out of memory for a chunk of %zu bytes", d.reader->file, raw);
    struct unpack u = {memory, memory + capacity, c->size, capacity};
    const char *error = NULL;
    int status = read_bytes(d.reader, c->offset, u.from, c->size, err);
    for (uint32_t i = status ? 0 : d.entry->n_filters; i-- > 0 && !error;)
        if (!(c->skipped >> i & 1))
            error = undo_filter(&u, d.entry->filters[i], width);
    if (!status && !error && u.size != raw)
        error = "a chunk does not have the size of its shape";
    if (error)
        status = fail_dataset(d, error, err);
    if (!status)
        memcpy(elements, u.from, raw);
    free(memory);
    return status;
}

/* --- reading --- */

int h5_cache_create(struct h5_cache *c, struct h5_node d, size_t bytes, struct error *err)
{
    *c = (struct h5_cache){0};
    if (d.entry->layout != LAYOUT_CHUNKED)
        return 0;
    const size_t chunk = d.entry->chunk * h5_width(d);
    c->n_slots = size_max(1, size_min(bytes / chunk, d.entry->size));
    c->chunks = malloc(c->n_slots * chunk);
    c->held = malloc(c->n_slots * sizeof *c->held);
    if (!c->chunks || !c->held) {
        h5_cache_free(c);
        return fail_dataset(d, "out of memory for a chunk", err);
    }
    memset(c->held, 0xFF, c->n_slots * sizeof *c->held);
    return 0;
}

void h5_cache_free(struct h5_cache *c)
{
    free(c->chunks);
    free(c->held);
    *c = (struct h5_cache){0};
}

static const unsigned char *get_chunk(struct h5_node d, struct h5_cache *c, uint64_t k,
                                      struct error *err)
{
    const size_t slot = k % c->n_slots;
    unsigned char *chunk = c->chunks + slot * d.entry->chunk * h5_width(d);
    if (c->held[slot] != k) {
        c->held[slot] = UINT64_MAX;
        if (read_chunk(d, k, chunk, err))
            return NULL;
        c->held[slot] = k;
    }
    return chunk;
}

int h5_read_cached(struct h5_node d, struct h5_cache *c, uint64_t first, size_t n, void *elements,
                   struct error *err)
{
    const size_t width = h5_width(d);
    const uint64_t chunk = d.entry->chunk;
    const bool contiguous = d.entry->layout == LAYOUT_CONTIGUOUS;
    uint64_t all;
    if (!h5_count_elements(d.entry, &all) || !h5_is_range(first, n, all) ||
        (contiguous && !h5_is_range(first * width, n * width, d.entry->size)))
        return fail_dataset(d, "shorter than expected", err);
    if (contiguous)
        return read_bytes(d.reader, d.entry->offset + first * width, elements, n * width, err);
    if (!c->n_slots)
        return fail_dataset(d, "expected a contiguous or chunked dataset", err);
    for (unsigned char *to = elements; n > 0;) {
        const size_t skip = first % chunk, m = size_min(chunk - skip, n);
        const unsigned char *from = get_chunk(d, c, first / chunk, err);
        if (!from)
            return -1;
        memcpy(to, from + skip * width, m * width);
        to += m * width, first += m, n -= m;
    }
    return 0;
}

int h5_read(struct h5_node d, uint64_t first, size_t n, void *elements, struct error *err)
{
    struct h5_cache cache;
    const int status =
        h5_cache_create(&cache, d, 0, err) || h5_read_cached(d, &cache, first, n, elements, err);
    h5_cache_free(&cache);
    return status;
}
