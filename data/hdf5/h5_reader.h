/* h5_reader.h: an open file, shared by h5_open.c, which checks its index, and h5_read.c. */
#ifndef H5_READER_H
#define H5_READER_H

#include "data/hdf5/h5_index.h"
#include "data/hdf5/sandbox.h"
#include <stdbool.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are little-endian");

struct h5_reader {
    const unsigned char *bytes; /* a file in memory, or NULL */
    int fd;                     /* a file on disk, or -1 */
    uint64_t size;
    struct sandbox_result index;
    const struct h5_entry *entries;
    const struct h5_chunk *chunks;
    const char *text;
    uint64_t n_entries, n_chunks, n_text;
    uint64_t unclaimed_chunks; /* while the index is checked: chunks not yet owned by a dataset */
    char file[];               /* name in error messages */
};

/* Bytes of an element; 0 for types that are not read. */
static inline size_t h5_type_width(uint32_t type)
{
    static const uint8_t WIDTHS[TYPES] = {[TYPE_U8] = 1,  [TYPE_U16] = 2, [TYPE_U32] = 4,
                                          [TYPE_U64] = 8, [TYPE_F32] = 4, [TYPE_F64] = 8};
    return WIDTHS[type];
}

/* Whether [first, first + n) is within [0, all). */
static inline bool h5_is_range(uint64_t first, uint64_t n, uint64_t all)
{
    return first <= all && n <= all - first;
}

/* Counts the elements of a dataset; false if the number overflows 64 bits. */
static inline bool h5_count_elements(const struct h5_entry *e, uint64_t *n)
{
    *n = e->ndim > 0;
    for (uint32_t i = 0; i < e->ndim; i++)
        if (__builtin_mul_overflow(*n, e->dims[i], n))
            return false;
    return true;
}

#endif
