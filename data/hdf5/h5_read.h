/* h5_read.h: HDF5 files of anybody, read without trust.
 *
 * libhdf5 parses the file in a process that can do no harm (sandbox.h) and sends back what is in it and where (h5_index.h). Those
 * numbers are checked against the file; the data is then read, and unpacked by zlib into buffers of known size, without libhdf5
 * and without its lock. Anything that could lead out of the file is refused: links but hard ones, external storage, virtual
 * datasets, filters but shuffle, deflate and fletcher32.
 *
 * All strings and entries live until h5_close. `file` is the name that error lines give.
 */
#ifndef H5_READ_H
#define H5_READ_H

#include "base/error.h"
#include "data/hdf5/h5_index.h"
#include <stdbool.h>

struct h5_reader;

/* Whether a file begins as HDF5 does, with or without a user block of 512 bytes. */
bool h5_is(const char *path);

/* A group or dataset of an open file. */
struct h5_node {
    const struct h5_reader *in;
    const struct h5_entry *is;
};

/* A regular file on the disk. */
struct h5_reader *h5_open(const char *path, struct error *err);
/* A file in memory, which has to outlive the reader. */
struct h5_reader *h5_open_bytes(const void *bytes, size_t size, const char *file,
                                struct error *err);
void h5_close(struct h5_reader *r);

struct h5_node h5_root(const struct h5_reader *r);
/* A member, whatever it is; false where there is none of this name. */
bool h5_member(struct h5_node group, const char *name, struct h5_node *member);
/* A group below a group, "a" or "a/b"; false where there is none. */
bool h5_group(struct h5_node group, const char *path, struct h5_node *found);

/* Attributes. Class and size are exact; a missing one is an error. The string is allocated, the caller frees it; strings longer
 * than 16 MiB are refused. */
bool h5_has_attribute(struct h5_node object, const char *name);
int h5_read_u64(struct h5_node object, const char *name, uint64_t *value, const char *file,
                struct error *err);
int h5_read_f64(struct h5_node object, const char *name, double *value, const char *file,
                struct error *err);
int h5_read_string(struct h5_node object, const char *name, char **value, const char *file,
                   struct error *err);

/* Finds a dataset of one dimension and exactly this type, 1 to max_length elements, all of which lie in the file. */
int h5_find_dataset(struct h5_node group, const char *name, enum h5_type type, uint64_t max_length,
                    struct h5_node *dataset, const char *file, struct error *err);
/* Elements [first, first + n) of a dataset of any shape, in the machine's byte order; they have to be there. */
int h5_read(struct h5_node dataset, uint64_t first, size_t n, void *elements, const char *file,
            struct error *err);
/* Chunk k of a chunked one, whole: is->chunk elements as stored, the last one padded. */
int h5_read_chunk(struct h5_node dataset, uint64_t k, void *elements, const char *file,
                  struct error *err);
/* Bytes of an element. */
size_t h5_width(struct h5_node dataset);

/* For the fuzzers: takes an index as the sandbox might have sent it. `index` has to outlive the reader. */
struct h5_reader *h5_open_index(const void *bytes, size_t size, const void *index,
                                size_t index_size, const char *file, struct error *err);

#endif
