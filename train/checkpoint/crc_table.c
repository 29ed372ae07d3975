/* crc_table.c: see crc_table.h. */
#include "train/checkpoint/crc_table.h"
#include "train/checkpoint/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_MAX = 16 << 20 /* bytes; GPT-2's largest has 0.2 MB */ };

int crc_table_read(struct h5_node root, char **table, const char *path, struct error *err)
{
    struct h5_node dataset;
    *table = NULL;
    if (!h5_member(root, "crc32", &dataset))
        return 0;
    if (h5_find_dataset(root, "crc32", TYPE_U8, TABLE_MAX, &dataset, err))
        return -1;
    const size_t size = dataset.entry->dims[0];
    int status = (*table = calloc(size + 1, 1)) ? 0 : fail(err, "%s: out of memory", path);
    if (!status)
        status = h5_read(dataset, 0, size, *table, err);
    if (status) {
        free(*table);
        *table = NULL;
    }
    return status;
}

int crc_table_check(const char *table, const char *group, const char *name, const void *bytes,
                    size_t size, const char *where, struct error *err)
{
    char line[128];
    if (!table)
        return 0;
    snprintf(line, sizeof line, "%08x  %s/%s\n", (unsigned)image_checksum(0, bytes, size), group,
             name);
    return strstr(table, line) ? 0 : fail(err, "%s: damaged: its checksum is wrong", where);
}
