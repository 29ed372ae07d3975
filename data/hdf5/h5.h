/* h5.h: the few calls to HDF5 that the writers of shards, tokenizers and checkpoints share.
 *
 * Outside of this file everything that calls HDF5 does so between h5_lock and h5_unlock: the loader reads on a thread of its
 * own, and not every system's libhdf5 is built for that. The lock is recursive. h5_lock also silences the library's own error
 * printing and keeps it from loading plugins. Reading goes through h5_read.h, which calls the library only in a sandbox.
 */
#ifndef H5_H
#define H5_H

#include "base/error.h"
#include <hdf5.h>
#include <stddef.h>
#include <stdint.h>

void h5_lock(void);
void h5_unlock(void);
/* The same for who calls nothing: a process that only reads has no library running. */
void h5_lock_others_out(void);
/* In a child made by fork: the lock is free again, whoever of the parent's threads held it. */
void h5_lock_renew(void);

/* fail(err, "FILE: WHAT: …") with the innermost reason that the library gave on this thread, where it gave one. */
int h5_fail(struct error *err, const char *file, const char *what);

/* A file in a buffer of ours. One that we write is made there (libhdf5 neither syncs nor reports late errors reliably): create,
 * fill, finish, atomic_write, free. Its metadata is checksummed by the library, and equal contents give equal bytes. */
struct h5_image {
    hid_t file;            /* open, or -1 */
    unsigned char *bytes;  /* the file, once it is finished or where it is only read */
    size_t size, capacity; /* of the file; allocated */
    size_t
        written; /* bytes in front that the library has written to; those behind are as they were allocated */
    size_t user_block; /* bytes in front that are the caller's: 0, or a power of two from 512 on */
};
/* The image may not move while it is open. */
int h5_image_create(struct h5_image *image, const char *file, struct error *err);
/* The same where the caller has filled in user_block, capacity and bytes. capacity is a guess of the size: one that is large enough
 * avoids copying. bytes (capacity) come from malloc and are the image's from here on; NULL: zeroed ones are allocated. All of the
 * library's own bytes come first where they fit in `metadata`: datasets that are only allocated (H5D_ALLOC_TIME_EARLY, nothing written) lie
 * behind them, and the library does not touch their memory. */
int h5_image_create_sized(struct h5_image *image, size_t metadata, const char *file,
                          struct error *err);
/* At least so many bytes for it, those that are new zero; not while it is open. */
int h5_image_reserve(struct h5_image *image, size_t size, const char *file, struct error *err);
/* Closes the file, and whatever is open in it. */
int h5_image_finish(struct h5_image *image, const char *file, struct error *err);
/* Opens bytes (size), which are a file's, for reading, in a sandbox. */
int h5_image_open(struct h5_image *image, const char *file, struct error *err);
/* Also of one that was never created: {.file = -1}. */
void h5_image_free(struct h5_image *image);

/* A new dataset of one dimension, not empty. chunk 0: contiguous; else chunked, with shuffle, deflate and fletcher32. */
hid_t h5_dataset_create(hid_t group, const char *name, hid_t type, uint64_t length, uint64_t chunk,
                        const char *file, struct error *err);

/* Scalar attributes of an object. `file` is the name that error lines give. */
int h5_write_u64(hid_t object, const char *name, uint64_t value, const char *file,
                 struct error *err);
int h5_write_f64(hid_t object, const char *name, double value, const char *file, struct error *err);
int h5_write_string(hid_t object, const char *name, const char *value, const char *file,
                    struct error *err);

#endif
