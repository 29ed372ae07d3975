/* h5_read.h: reading untrusted HDF5 files.
 *
 * libhdf5 parses the file in a sandboxed process (sandbox.h), which returns the file's index
 * (h5_index.h). The index is checked against the file. Data is then read and unpacked by zlib, into
 * buffers of known size, without libhdf5. Everything that could refer to other files is rejected:
 * soft and external links, external storage, virtual datasets, and filters other than shuffle,
 * deflate and fletcher32.
 *
 * Nodes and names are valid until h5_close.
 */
#ifndef H5_READ_H
#define H5_READ_H

#include "base/error.h"
#include "data/hdf5/h5_index.h"
#include <stdbool.h>

struct h5_reader;

/* Whether a file begins with the HDF5 signature, directly or after a user block of 512 bytes. */
bool h5_is(const char *path);

/* A group or dataset of an open file. */
struct h5_node {
    const struct h5_reader *reader;
    const struct h5_entry *entry;
};

/* Opens a regular file. */
struct h5_reader *h5_open(const char *path, struct error *err);
/* Opens a file in memory, which must outlive the reader. `file` is its name in error messages. */
struct h5_reader *h5_open_bytes(const void *bytes, size_t size, const char *file,
                                struct error *err);
void h5_close(struct h5_reader *r);

struct h5_node h5_root(const struct h5_reader *r);
/* The file's name in error messages. */
const char *h5_file_name(struct h5_node node);
/* Finds a member of any kind, "a" or "a/b"; false if there is none. */
bool h5_member(struct h5_node group, const char *name, struct h5_node *member);
/* Finds a group. */
bool h5_group(struct h5_node group, const char *path, struct h5_node *found);

/* Read an attribute of exactly this class and size; a missing one is an error. The caller frees a
 * string, which has at most 16 MiB. */
bool h5_has_attribute(struct h5_node object, const char *name);
int h5_read_u64(struct h5_node object, const char *name, uint64_t *value, struct error *err);
int h5_read_f64(struct h5_node object, const char *name, double *value, struct error *err);
int h5_read_string(struct h5_node object, const char *name, char **value, struct error *err);

/* Finds a dataset of one dimension and exactly this type with 1 to max_length elements. */
int h5_find_dataset(struct h5_node group, const char *name, enum h5_type type, uint64_t max_length,
                    struct h5_node *dataset, struct error *err);
/* Bytes of an element. */
size_t h5_width(struct h5_node dataset);
/* Reads elements [first, first + n) of a dataset of any shape. */
int h5_read(struct h5_node dataset, uint64_t first, size_t n, void *elements, struct error *err);
/* Finds a dataset of `length` elements and reads it all. The caller frees it. NULL on error. */
void *h5_read_array(struct h5_node group, const char *name, enum h5_type type, uint64_t length,
                    struct error *err);

/* Unpacked chunks of one dataset, for random access. Chunk k is kept in slot k mod n_slots, so that
 * no chunk is evicted if all of them fit. */
struct h5_cache {
    unsigned char *chunks; /* (n_slots, chunk) */
    uint64_t *held;        /* the chunk in each slot, or UINT64_MAX */
    size_t n_slots;        /* 0 for a contiguous dataset, which needs no cache */
};
/* Uses at most `bytes`, but at least one slot. */
int h5_cache_create(struct h5_cache *c, struct h5_node dataset, size_t bytes, struct error *err);
void h5_cache_free(struct h5_cache *c);
int h5_read_cached(struct h5_node dataset, struct h5_cache *c, uint64_t first, size_t n,
                   void *elements, struct error *err);

#endif
