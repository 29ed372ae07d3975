/* snapshot.h: a checkpoint on its way to the disk.
 *
 * snapshot_lay_out has HDF5 build the file in memory without the data of the tensors. What remains
 * needs no HDF5 and can run on another thread: copying or writing the tensors, and computing
 * checksums. A snapshot either refers to the arrays of the run, which must then not change until it
 * is written, or holds copies of them (snapshot_copy). The table of tensors must outlive it. */
#pragma once

#include "data/hdf5/h5.h"
#include "train/checkpoint/checkpoint.h"

/* One tensor. */
struct extent {
    size_t offset, size; /* bytes, in the file */
    const float *from;   /* in the arrays of the run */
    const char *group, *name;
    uint32_t crc;
};

struct snapshot {
    struct h5_image image; /* the file; without the tensors until snapshot_copy */
    struct extent *extents;
    size_t count;                    /* of extents, sorted by offset */
    size_t table_offset, table_size; /* of the dataset "crc32", in the file */
    uint64_t step;
    bool copied;
    const struct extent *not_finite; /* set by snapshot_seal: the first that contains a NaN or an
                                        infinity, or NULL */
};

/* Bytes of the file. */
struct range {
    size_t offset, size;
};
/* The bytes before extent i and after extent i - 1; i = count: after the last extent. */
struct range snapshot_gap(const struct snapshot *s, size_t i);

/* Lays the file out. *s is all zero except for image.file = -1, or was used before, in which case
 * its memory is reused. On failure the image may be open; free it with h5_image_free. */
int snapshot_lay_out(struct snapshot *s, const struct checkpoint *c, const char *path,
                     struct error *err);
/* Copies the tensors into the image. */
void snapshot_copy(struct snapshot *s);
/* Computes the checksums of the tensors, of the file and of the user block. */
void snapshot_seal(struct snapshot *s);
/* Writes the file atomically. */
int snapshot_write(const struct snapshot *s, const char *path, struct error *err);
/* Frees everything but the image, which can be reused. */
void snapshot_clear(struct snapshot *s);
