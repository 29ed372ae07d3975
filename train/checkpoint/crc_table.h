/* crc_table.h: the dataset "crc32" of a checkpoint: which tensor is the damaged one. */
#ifndef CRC_TABLE_H
#define CRC_TABLE_H

#include "data/hdf5/h5_read.h"
#include <stddef.h>

/* The table as text, allocated; NULL with status 0 where the file has none. */
int crc_table_read(struct h5_node root, char **table, const char *path, struct error *err);
/* Whether these bytes are those that the table knows under this name. A table of NULL knows nothing and accepts all. */
int crc_table_check(const char *table, const char *group, const char *name, const void *bytes,
                    size_t size, const char *where, struct error *err);

#endif
