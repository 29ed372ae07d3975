/* h5.h: writing HDF5 files, for shards, tokenizers, checkpoints and gradient files.
 *
 * Not every system's libhdf5 is thread-safe, so all calls to it are made between h5_lock and
 * h5_unlock. The lock is recursive; h5_lock also silences the library's error output and disables
 * plugins. Reading (h5_read.h) calls the library only in a sandbox.
 */
#pragma once

#include "base/error.h"
#include "data/hdf5/h5_index.h"
#include "data/hdf5/sandbox.h"
#include <hdf5.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void h5_lock(void);
void h5_unlock(void);

/* sandbox_run for work that calls the library. Holds the lock while forking, so that no other
 * thread is inside the library when it is copied; in the child the lock is free. */
int h5_sandbox_run(struct sandbox_result *result, sandbox_work *work, void *argument,
                   size_t capacity, const char *doing, const char *file, struct error *err);

/* fail(err, "FILE: WHAT: REASON") with the library's innermost error on this thread, if any. */
int h5_fail(struct error *err, const char *file, const char *what);

/* A file in memory, since libhdf5 neither syncs files nor reports late errors reliably: create,
 * fill, finish, atomic_write, free. Metadata is checksummed, and equal contents give equal
 * bytes. */
struct h5_image {
    hid_t file;            /* open, or -1 */
    unsigned char *bytes;  /* the file, once finished or if only read */
    size_t size, capacity; /* of the file; allocated */
    size_t written;        /* leading bytes that the library has written to */
    size_t user_block;     /* leading bytes for the caller: 0, or a power of two from 512 */
};
/* The struct must not move while the image is open. */
int h5_image_create(struct h5_image *image, const char *file, struct error *err);
/* The same with user_block, capacity and bytes set by the caller. bytes are NULL, or come from
 * malloc and are now owned by the image. The library's own bytes come first if they fit in
 * `metadata`: datasets that are only allocated (H5D_ALLOC_TIME_EARLY) follow, and are not
 * touched. */
int h5_image_create_sized(struct h5_image *image, size_t metadata, const char *file,
                          struct error *err);
/* Allocates at least `size` bytes; new ones are zero. Not while the image is open. */
int h5_image_reserve(struct h5_image *image, size_t size, const char *file, struct error *err);
/* Closes the file and everything that is open in it. */
int h5_image_finish(struct h5_image *image, const char *file, struct error *err);
/* Opens bytes (size), which hold a file, for reading. To be called in a sandbox. */
int h5_image_open(struct h5_image *image, const char *file, struct error *err);
/* Also accepts an image that was never created, {.file = -1}. */
void h5_image_free(struct h5_image *image);

/* For the following functions the caller holds the lock. `file` is the name in error messages. */

/* The library's identifier of a type as it is stored, or of its native form in memory. */
hid_t h5_type_id(enum h5_type type, bool in_memory);

/* Creates a dataset of one dimension with length > 0. chunk 0: contiguous; otherwise in chunks of
 * that many elements, at most `length`, with shuffle, deflate and fletcher32. */
hid_t h5_dataset_create(hid_t group, const char *name, enum h5_type type, uint64_t length,
                        uint64_t chunk, const char *file, struct error *err);
/* The same with its contents, in native form. */
int h5_write_array(hid_t group, const char *name, enum h5_type type, uint64_t length,
                   uint64_t chunk, const void *elements, const char *file, struct error *err);

/* Scalar attributes of an object. */
int h5_write_u64(hid_t object, const char *name, uint64_t value, const char *file,
                 struct error *err);
int h5_write_f64(hid_t object, const char *name, double value, const char *file, struct error *err);
int h5_write_string(hid_t object, const char *name, const char *value, const char *file,
                    struct error *err);
