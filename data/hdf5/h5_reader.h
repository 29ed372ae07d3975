/* h5_reader.h: an open file as those see it who check its index (h5_open.c) and who read by it (h5_read.c). */
#ifndef H5_READER_H
#define H5_READER_H

#include "data/hdf5/h5_read.h"
#include "data/hdf5/sandbox.h"

struct h5_reader {
    int fd;                     /* or -1: */
    const unsigned char *bytes; /* in memory */
    uint64_t size;
    struct sandbox_result index;
    const struct h5_entry *entries;
    const struct h5_chunk *chunks;
    const char *text;
    uint64_t n_entries, n_chunks, n_text;
    uint64_t chunks_left; /* while the index is checked: those that no dataset has claimed yet */
};

/* Bytes of an element; 0: of none that is stored. */
static inline size_t h5_type_width(uint32_t type)
{
    static const uint8_t WIDTHS[TYPES] = {[TYPE_U8] = 1,  [TYPE_U16] = 2, [TYPE_U32] = 4,
                                          [TYPE_U64] = 8, [TYPE_F32] = 4, [TYPE_F64] = 8};
    return WIDTHS[type];
}

/* Whether [first, first + n) lies in [0, all). */
static inline bool h5_is_range(uint64_t first, uint64_t n, uint64_t all)
{
    return first <= all && n <= all - first;
}

/* Elements of a dataset; false where they are more than 64 bits can count. */
static inline bool h5_count_elements(const struct h5_entry *e, uint64_t *n)
{
    *n = e->ndim > 0;
    for (uint32_t i = 0; i < e->ndim; i++)
        if (__builtin_mul_overflow(*n, e->dims[i], n))
            return false;
    return true;
}

#endif
