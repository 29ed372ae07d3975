/* h5_index.h: what an HDF5 file holds and where, as a list of bytes that crosses from the process that parsed the file
 * (h5_scan.c) to the one that reads it (h5_open.c). The reader trusts no number of it.
 *
 *   struct h5_index, then n_entries struct h5_entry, n_chunks struct h5_chunk, and n_text bytes of text
 *
 * Entry 0 is the root. The members of a group, and the attributes of an object, follow one another, sorted by name.
 */
#ifndef H5_INDEX_H
#define H5_INDEX_H

#include <stddef.h>
#include <stdint.h>

enum {
    H5_INDEX_MAX = 128 << 20, /* bytes */
    H5_MAX_DIMS = 4,
    H5_MAX_FILTERS = 3, /* shuffle, deflate, fletcher32 */
    H5_MAX_STRING = 16 << 20,
    H5_MAX_CHUNK = 1 << 20 /* elements */
};

enum h5_kind { KIND_GROUP, KIND_DATASET, KIND_LINK, KIND_UNKNOWN, KIND_ATTRIBUTE, N_KINDS };
/* Types that we store, little-endian; an attribute's is one of the three widest, or that of a string. */
enum h5_type {
    TYPE_OTHER,
    TYPE_U8,
    TYPE_U16,
    TYPE_U32,
    TYPE_U64,
    TYPE_F32,
    TYPE_F64,
    TYPE_NEGATIVE,
    TYPE_STRING,
    TYPE_LONG_STRING,
    TYPES
};
/* Where a dataset's bytes are. */
enum h5_layout {
    LAYOUT_OTHER,
    LAYOUT_EXTERNAL,
    LAYOUT_CONTIGUOUS,
    LAYOUT_CHUNKED,
    LAYOUT_FILTERED,
    LAYOUT_LARGE_CHUNKS,
    LAYOUT_MISSING_CHUNKS,
    LAYOUTS
};
enum h5_filter { FILTER_SHUFFLE, FILTER_DEFLATE, FILTER_FLETCHER32, FILTERS };

struct h5_entry {
    uint32_t kind, type;
    uint64_t name;                     /* of its text, which is terminated */
    uint32_t members, n_members;       /* of a group */
    uint32_t attributes, n_attributes; /* of any object */
    uint32_t ndim, layout;             /* of a dataset; ndim 0: a scalar, or no simple shape */
    uint64_t dims[H5_MAX_DIMS];
    uint64_t offset,
        size; /* contiguous: bytes of the file; chunked: first chunk, their number; string: its text */
    uint64_t chunk;                              /* elements of one */
    uint32_t n_filters, filters[H5_MAX_FILTERS]; /* in the order in which they were applied */
    uint64_t value; /* of an attribute: an integer, or the bits of a double */
};

struct h5_chunk {
    uint64_t offset; /* in the file */
    uint32_t size;
    uint32_t skipped; /* bit i: filter i was not applied */
};

struct h5_index {
    char error[256]; /* empty, or why there is no more */
    uint64_t n_entries, n_chunks, n_text;
};

/* Parses a file in memory and writes its index; returns the bytes used. Runs libhdf5: to be called in a sandbox, with struct
 * h5_scan as the argument. capacity is at least sizeof(struct h5_index). */
struct h5_scan {
    const void *bytes; /* of the file; not written to */
    size_t size;
};
size_t h5_scan(void *scan, void *index, size_t capacity);

#endif
