/* h5.h: the few calls to HDF5 that shards, tokenizers and checkpoints share.
 *
 * Outside of this file everything that calls HDF5 does so between h5_lock and h5_unlock: the loader reads on a thread of its
 * own, and not every system's libhdf5 is built for that. The lock is recursive. The first h5_lock also silences the library's
 * own error printing and keeps it from loading plugins.
 */
#ifndef H5_H
#define H5_H

#include "error.h"
#include <hdf5.h>
#include <stddef.h>
#include <stdint.h>

void h5_lock(void);
void h5_unlock(void);

/* Scalar attributes of an object. `file` is the name that error lines give. Readers check type and class, never trust a size,
 * and fail where the attribute is missing. */
int h5_write_u64(hid_t object, const char *name, uint64_t value, const char *file, struct error *err);
int h5_write_f64(hid_t object, const char *name, double value, const char *file, struct error *err);
int h5_write_string(hid_t object, const char *name, const char *value, const char *file, struct error *err);
int h5_read_u64(hid_t object, const char *name, uint64_t *value, const char *file, struct error *err);
int h5_read_f64(hid_t object, const char *name, double *value, const char *file, struct error *err);
/* The string is allocated; the caller frees it. Strings longer than 16 MiB are refused. */
int h5_read_string(hid_t object, const char *name, char **value, const char *file, struct error *err);

#endif
