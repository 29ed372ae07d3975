/* h5_scan.c: walks an HDF5 file and writes its index (h5_index.h). This is the only code that
 * passes untrusted files to libhdf5, and it runs in a sandbox: fuzzing finds heap overflows in the
 * library.
 *
 * Only hard links are followed. A group that contains itself exceeds the limits on groups. Links
 * are visited in storage order and sorted at the end: visiting them by name made version 1.10.8
 * free uninitialised entries if a large group's table of links was damaged.
 */
#include "base/array.h"
#include "base/minmax.h"
#include "data/hdf5/h5.h"
#include "data/hdf5/h5_index.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_ENTRIES = 1 << 19,
    MAX_CHUNKS = 1 << 22,
    MAX_TEXT = 32 << 20,
    MAX_GROUPS = 4096,
    MAX_DEPTH = 16,
    MAX_NAME = 255
};

/* An array that grows. */
struct list {
    char *items;
    size_t n, capacity;
};

struct walk {
    const unsigned char *bytes; /* the file */
    size_t size;
    struct list entries, chunks, text;
    size_t at; /* the entry whose members or attributes are visited */
    size_t groups, depth;
    const char *error;
};

/* Adds n zeroed items, up to max in all. On failure sets the walk's error and returns NULL. */
static void *append(struct walk *w, struct list *l, size_t n, size_t item, size_t max)
{
    if (n > max - l->n)
        w->error = "contains more objects than are supported";
    else if (!array_reserve_bytes(&l->items, &l->capacity, l->n + n + 1, item))
        w->error = "out of memory";
    if (w->error)
        return NULL;
    void *at = l->items + l->n * item;
    memset(at, 0, n * item);
    l->n += n;
    return at;
}

static struct h5_entry *entry(const struct walk *w, size_t i)
{
    return (struct h5_entry *)w->entries.items + i;
}

/* Adds an entry with the name PARENT SEPARATOR NAME. */
static struct h5_entry *new_entry(struct walk *w, enum h5_kind kind, const char *separator,
                                  const char *name)
{
    const uint64_t at = w->text.n, parent = w->entries.n ? entry(w, w->at)->name : 0;
    const size_t n = strlen(name) + 2 + (at ? strlen(w->text.items + parent) : 0);
    if (strlen(name) > MAX_NAME)
        w->error = "a name is too long";
    char *text = w->error ? NULL : append(w, &w->text, n, 1, MAX_TEXT);
    struct h5_entry *e = text ? append(w, &w->entries, 1, sizeof *e, MAX_ENTRIES) : NULL;
    if (!e)
        return NULL;
    snprintf(text, n, "%s%s%s", at ? w->text.items + parent : "", separator, name);
    e->kind = kind;
    e->name = at;
    return e;
}

static int by_name(const void *a, const void *b, void *text)
{
    const struct h5_entry *x = a, *y = b;
    return strcmp((const char *)text + x->name, (const char *)text + y->name);
}

/* --- attributes --- */

/* Accepts integers from 0 to 2^64 - 1; the library silently clamps others. */
static void take_integer(struct h5_entry *e, hid_t attribute, hid_t type)
{
    const bool is_signed = H5Tget_sign(type) != H5T_SGN_NONE;
    if (H5Tget_size(type) <= sizeof e->value &&
        H5Aread(attribute, is_signed ? H5T_NATIVE_INT64 : H5T_NATIVE_UINT64, &e->value) >= 0 &&
        !(is_signed && (int64_t)e->value < 0))
        e->type = TYPE_U64;
}

static void take_string(struct walk *w, struct h5_entry *e, hid_t attribute, hid_t type)
{
    const size_t size = H5Tis_variable_str(type) == 0 ? H5Tget_size(type) : SIZE_MAX;
    const uint64_t offset = w->text.n;
    char *text = size <= H5_MAX_STRING ? append(w, &w->text, size + 1, 1, MAX_TEXT) : NULL;
    if (text && H5Aread(attribute, type, text) >= 0) {
        e->type = TYPE_STRING;
        e->offset = offset;
        e->size = strlen(text);
    }
}

/* Calls with the identifier -1 of what could not be opened fail and do nothing, here and below. */
static herr_t take_attribute(hid_t object, const char *name, const H5A_info_t *info, void *walk)
{
    (void)info;
    struct walk *w = walk;
    struct h5_entry *e = new_entry(w, KIND_ATTRIBUTE, H5_ATTRIBUTE, name);
    if (!e)
        return -1;
    const hid_t attribute = H5Aopen(object, name, H5P_DEFAULT), space = H5Aget_space(attribute),
                type = H5Aget_type(attribute);
    if (H5Sget_simple_extent_type(space) == H5S_SCALAR) {
        const H5T_class_t class = H5Tget_class(type);
        if (class == H5T_INTEGER)
            take_integer(e, attribute, type);
        else if (class == H5T_STRING)
            take_string(w, e, attribute, type);
        else if (class == H5T_FLOAT && H5Aread(attribute, H5T_NATIVE_DOUBLE, &e->value) >= 0)
            e->type = TYPE_F64;
    }
    H5Tclose(type);
    H5Sclose(space);
    H5Aclose(attribute);
    return w->error ? -1 : 0;
}

/* --- datasets --- */

static uint32_t type_of(hid_t type)
{
    for (enum h5_type t = TYPE_U8; t <= TYPE_F64; t++)
        if (H5Tequal(type, h5_type_id(t, false)) > 0)
            return t;
    return TYPE_OTHER;
}

static hsize_t user_block_size(hid_t dataset)
{
    const hid_t file = H5Iget_file_id(dataset), create = H5Fget_create_plist(file);
    hsize_t size = 0;
    H5Pget_userblock(create, &size);
    H5Pclose(create);
    H5Fclose(file);
    return size;
}

/* Whether the file has the chunk's bytes at this offset. */
static bool is_at(const struct walk *w, uint64_t offset, const unsigned char *raw, hsize_t size)
{
    return offset <= w->size && size <= w->size - offset &&
           memcmp(raw, w->bytes + offset, size) == 0;
}

/* Locates one chunk. It usually begins where the previous one ends, so `expected` is tried first:
 * before version 1.14, the library finds a chunk's address only by visiting all chunks before it.
 * Before 1.14.4, addresses count from the end of the user block (HDFGroup/hdf5#3003), later from
 * the beginning of the file; comparing the bytes shows which. `raw` has space for max_size
 * bytes. */
static bool take_chunk(const struct walk *w, hid_t dataset, hsize_t at, uint64_t expected,
                       struct h5_chunk *chunk, unsigned char *raw, size_t max_size)
{
    hsize_t size = 0;
    haddr_t address;
    uint32_t skipped = 0;
    if (H5Dget_chunk_storage_size(dataset, &at, &size) < 0 || size == 0 || size > max_size ||
        H5Dread_chunk(dataset, H5P_DEFAULT, &at, &skipped, raw) < 0)
        return false;
    if (!expected || !is_at(w, expected, raw, size)) {
        hsize_t same;
        if (H5Dget_chunk_info_by_coord(dataset, &at, NULL, &address, &same) < 0 ||
            address == HADDR_UNDEF || same != size)
            return false;
        expected = is_at(w, address, raw, size) ? address : address + user_block_size(dataset);
    }
    *chunk = (struct h5_chunk){expected, (uint32_t)size, skipped};
    return is_at(w, expected, raw, size);
}

static void take_chunks(struct walk *w, struct h5_entry *e, hid_t dataset, hid_t create)
{
    hsize_t chunk = 0;
    e->layout = LAYOUT_LARGE_CHUNKS;
    if (e->ndim != 1 || H5Pget_chunk(create, 1, &chunk) != 1 || chunk == 0 || chunk > H5_MAX_CHUNK)
        return;
    const uint64_t n = ceil_div(e->dims[0], chunk), first = w->chunks.n;
    e->layout = LAYOUT_MISSING_CHUNKS;
    struct h5_chunk *chunks = append(w, &w->chunks, n, sizeof *chunks, MAX_CHUNKS);
    const size_t max_size = size_min(w->size, 16 * H5_MAX_CHUNK);
    unsigned char *raw = malloc(max_size);
    bool complete = chunks && raw;
    for (uint64_t k = 0, expected = 0; k < n && complete; k++) {
        complete = take_chunk(w, dataset, k * chunk, expected, &chunks[k], raw, max_size);
        expected = chunks[k].offset + chunks[k].size;
    }
    free(raw);
    if (!complete)
        return;
    e->layout = LAYOUT_CHUNKED;
    e->offset = first;
    e->size = n;
    e->chunk = chunk;
}

static bool take_filters(struct h5_entry *e, hid_t create)
{
    const int n = H5Pget_nfilters(create);
    if (n < 0 || n > H5_MAX_FILTERS)
        return false;
    for (int i = 0; i < n; i++) {
        const H5Z_filter_t f = H5Pget_filter2(create, (unsigned)i, NULL, NULL, NULL, 0, NULL, NULL);
        if (f < FILTER_DEFLATE || f >= FILTERS)
            return false;
        e->filters[i] = (uint32_t)f;
    }
    e->n_filters = (uint32_t)n;
    return true;
}

static void take_storage(struct walk *w, struct h5_entry *e, hid_t dataset, hid_t create)
{
    const H5D_layout_t layout = H5Pget_layout(create);
    if (H5Pget_external_count(create) != 0)
        e->layout = LAYOUT_EXTERNAL;
    else if (layout == H5D_CONTIGUOUS) {
        const haddr_t address = H5Dget_offset(dataset);
        e->layout = LAYOUT_CONTIGUOUS;
        e->offset = address == HADDR_UNDEF ? 0 : address;
        e->size = address == HADDR_UNDEF ? 0 : H5Dget_storage_size(dataset);
    } else if (layout == H5D_CHUNKED && !take_filters(e, create))
        e->layout = LAYOUT_FILTERED;
    else if (layout == H5D_CHUNKED)
        take_chunks(w, e, dataset, create);
}

static void take_dataset(struct walk *w, struct h5_entry *e, hid_t dataset)
{
    const hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset),
                create = H5Dget_create_plist(dataset);
    hsize_t dims[H5S_MAX_RANK];
    int ndim = H5Sget_simple_extent_dims(space, dims, NULL);
    if (H5Sget_simple_extent_type(space) == H5S_SCALAR)
        dims[ndim++] = 1;
    e->type = type_of(type);
    e->ndim = ndim > 0 && ndim <= H5_MAX_DIMS ? (uint32_t)ndim : 0;
    memcpy(e->dims, dims, e->ndim * sizeof *dims);
    if (create >= 0 && e->ndim && e->type != TYPE_OTHER)
        take_storage(w, e, dataset, create);
    H5Pclose(create);
    H5Sclose(space);
    H5Tclose(type);
}

/* --- groups --- */

static void walk_group(struct walk *w, hid_t group, size_t at);

static herr_t take_link(hid_t group, const char *name, const H5L_info_t *link, void *walk)
{
    struct walk *w = walk;
    const size_t at = w->entries.n;
    if (!new_entry(w, KIND_UNKNOWN, w->at ? "/" : "", name))
        return -1;
    entry(w, w->at)->n_members++;
    if (link->type != H5L_TYPE_HARD) {
        entry(w, at)->kind = KIND_LINK;
        return 0;
    }
    const hid_t object = H5Oopen(group, name, H5P_DEFAULT);
    const H5I_type_t kind = H5Iget_type(object);
    if (kind == H5I_DATASET) {
        entry(w, at)->kind = KIND_DATASET;
        take_dataset(w, entry(w, at), object);
    } else if (kind == H5I_GROUP)
        walk_group(w, object, at);
    H5Oclose(object);
    return w->error ? -1 : 0;
}

static void walk_group(struct walk *w, hid_t group, size_t at)
{
    const size_t outer = w->at;
    w->at = at;
    entry(w, at)->kind = KIND_GROUP;
    if (++w->groups > MAX_GROUPS || ++w->depth > MAX_DEPTH)
        w->error = "contains too many groups, or a group that contains itself";
    else if ((H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, take_link, w) < 0 ||
              H5Aiterate2(group, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, take_attribute, w) < 0) &&
             !w->error)
        w->error = "a group is damaged";
    w->depth--;
    w->at = outer;
}

static size_t write_index(struct walk *w, struct h5_index *index, size_t capacity)
{
    const size_t entries = w->entries.n * sizeof(struct h5_entry),
                 chunks = w->chunks.n * sizeof(struct h5_chunk),
                 size = sizeof *index + entries + chunks + w->text.n;
    *index =
        (struct h5_index){.n_entries = w->entries.n, .n_chunks = w->chunks.n, .n_text = w->text.n};
    if (!w->error && size > capacity)
        w->error = "contains more objects than are supported";
    if (w->error) {
        strncpy(index->error, w->error, sizeof index->error - 1);
        return sizeof *index;
    }
    char *to = mempcpy(index + 1, w->entries.items, entries);
    if (chunks)
        to = mempcpy(to, w->chunks.items, chunks);
    memcpy(to, w->text.items, w->text.n);
    return size;
}

size_t h5_scan(void *scan, void *index, size_t capacity)
{
    const struct h5_scan *s = scan;
    struct walk w = {.bytes = s->bytes, .size = s->size};
    struct h5_image image = {
        .file = -1, .bytes = (void *)s->bytes, .size = s->size, .capacity = s->size};
    h5_image_open(&image, "", NULL);
    const hid_t root = H5Gopen2(image.file, "/", H5P_DEFAULT);
    if (root < 0)
        w.error = "not an HDF5 file, or damaged";
    else if (new_entry(&w, KIND_GROUP, "", ""))
        walk_group(&w, root, 0);
    if (!w.error)
        qsort_r(w.entries.items, w.entries.n, sizeof(struct h5_entry), by_name, w.text.items);
    const size_t size = write_index(&w, index, capacity);
    H5Fclose(image.file); /* closes the root as well */
    free(w.entries.items);
    free(w.chunks.items);
    free(w.text.items);
    return size;
}
