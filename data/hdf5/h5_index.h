/* h5_index.h: the index of an HDF5 file: what it holds, and at which offsets. The process that
 * parses the file (h5_scan.c) sends it to the process that reads the file (h5_open.c), which checks
 * every number in it.
 *
 * Layout: struct h5_index, n_entries struct h5_entry, n_chunks struct h5_chunk, n_text bytes of
 * text. Entries are sorted by name. The name of an object is its path, such as "adamw/m", and ""
 * for the root, which is entry 0; that of an attribute is its object's name, H5_ATTRIBUTE, and its
 * own.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define H5_ATTRIBUTE "\1"
#define H5_SIGNATURE "\x89HDF\r\n\x1a\n" /* the first 8 bytes of a file */

enum {
    H5_INDEX_MAX = 128 << 20, /* bytes */
    H5_MAX_DIMS = 4,
    H5_MAX_FILTERS = 3,
    H5_MAX_STRING = 16 << 20,
    H5_MAX_CHUNK = 1 << 20 /* elements */
};

enum h5_kind { KIND_GROUP, KIND_DATASET, KIND_LINK, KIND_UNKNOWN, KIND_ATTRIBUTE, N_KINDS };
/* Types of datasets, little-endian. Scalar attributes have TYPE_U64, TYPE_F64 or TYPE_STRING. */
enum h5_type {
    TYPE_OTHER,
    TYPE_U8,
    TYPE_U16,
    TYPE_U32,
    TYPE_U64,
    TYPE_F32,
    TYPE_F64,
    TYPE_STRING,
    TYPES
};
/* How a dataset is stored. */
enum h5_layout {
    LAYOUT_OTHER,
    LAYOUT_EXTERNAL, /* in another file */
    LAYOUT_CONTIGUOUS,
    LAYOUT_CHUNKED,
    LAYOUT_FILTERED, /* with filters other than enum h5_filter */
    LAYOUT_LARGE_CHUNKS,
    LAYOUT_MISSING_CHUNKS,
    LAYOUTS
};
enum h5_filter { FILTER_DEFLATE = 1, FILTER_SHUFFLE, FILTER_FLETCHER32, FILTERS }; /* as in HDF5 */

struct h5_entry {
    uint32_t kind, type;
    uint64_t name;         /* offset in the text, where it is terminated */
    uint32_t n_members;    /* of a group */
    uint32_t ndim, layout; /* of a dataset; a scalar has one element; ndim 0: no such shape */
    uint64_t dims[H5_MAX_DIMS];
    /* contiguous dataset: bytes in the file; chunked: first chunk and their number; string
     * attribute: bytes in the text */
    uint64_t offset, size;
    uint64_t chunk;                              /* elements per chunk */
    uint32_t n_filters, filters[H5_MAX_FILTERS]; /* in the order of writing */
    uint64_t value;                              /* of an attribute: integer, or bits of a double */
};

struct h5_chunk {
    uint64_t offset; /* in the file */
    uint32_t size;
    uint32_t skipped; /* bit i: filter i was not applied */
};

struct h5_index {
    char error[256]; /* why the rest is missing, or empty */
    uint64_t n_entries, n_chunks, n_text;
};

/* A sandbox_work with a struct h5_scan as argument: parses a file in memory and writes its index.
 * capacity is at least sizeof(struct h5_index). */
struct h5_scan {
    const void *bytes; /* read only */
    size_t size;
};
size_t h5_scan(void *scan, void *index, size_t capacity);
