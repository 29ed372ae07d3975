/* crc_table.c: see crc_table.h. */
#include "crc_table.h"
#include "../data/h5.h"
#include "image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_MAX = 16 << 20 /* bytes; GPT-2's largest has 0.2 MB */ };

int crc_table_read(hid_t file, char **table, const char *path, struct error *err)
{
    uint64_t size;
    *table = NULL;
    if (H5Lexists(file, "crc32", H5P_DEFAULT) <= 0)
        return 0;
    const hid_t dataset = h5_dataset_open(file, "crc32", H5T_STD_U8LE, TABLE_MAX, H5P_DEFAULT, &size, path, err);
    if (dataset < 0)
        return -1;
    int status = (*table = calloc(size + 1, 1)) ? 0 : fail(err, "%s: out of memory", path);
    if (!status && H5Dread(dataset, H5T_NATIVE_UCHAR, H5S_ALL, H5S_ALL, H5P_DEFAULT, *table) < 0)
        status = h5_fail(err, path, "crc32");
    H5Dclose(dataset);
    if (status) {
        free(*table);
        *table = NULL;
    }
    return status;
}

int crc_table_check(const char *table, const char *group, const char *name, const void *bytes, size_t size, const char *where,
                    struct error *err)
{
    char line[128];
    if (!table)
        return 0;
    snprintf(line, sizeof line, "%08x  %s/%s\n", (unsigned)image_checksum(0, bytes, size), group, name);
    return strstr(table, line) ? 0 : fail(err, "%s: damaged: its checksum is wrong", where);
}
