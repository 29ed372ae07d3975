/* snapshot.h: a checkpoint on its way from the training thread to the disk.
 *
 * checkpoint_lay_out lets HDF5 make the file in memory, all but the tensors, whose places it lists here. What is left is plain
 * bytes, so that another thread can do it without a call to HDF5: checksums, and writing. A snapshot either refers to the
 * arrays of the run, which must then stay as they are until it is written, or has copies of them (snapshot_copy). */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include "base/error.h"
#include "data/hdf5/h5.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One tensor. */
struct extent {
    size_t offset, size; /* bytes in the file */
    const float *from;   /* the array of the run */
    char *line;          /* in the table of checksums: eight digits, two spaces, the name */
    uint32_t crc;
};

struct snapshot {
    struct h5_image image; /* the file; only its own bytes are filled in before snapshot_copy */
    struct extent *extents;
    size_t count; /* of extents: in the order of their offsets */
    char
        *table; /* lines "CRC32  NAME": the contents of the dataset "crc32", which every file has */
    size_t table_offset, table_size;
    uint64_t step;
    bool copied;
    const struct extent *
        not_finite; /* after snapshot_seal: the first that holds a number that is not finite, or NULL */
};

/* Copies the tensors into the image. */
void snapshot_copy(struct snapshot *s);
/* Fills in every checksum: of each tensor, of the file, of the user block. */
void snapshot_seal(struct snapshot *s);
/* Writes the file, whole or not at all: atomic_write_pieces. */
int snapshot_write(const struct snapshot *s, const char *path, struct error *err);
/* Frees all but the image, which may serve again. */
void snapshot_clear(struct snapshot *s);

#endif
