/* crc_table.c: see crc_table.h. */
#include "crc_table.h"
#include "../data/h5.h"
#include "image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_MAX = 16 << 20 /* bytes; GPT-2's largest has 0.2 MB */ };

/* The size of the text; 0 where it is not as we write it. */
static size_t table_size(hid_t dataset, hid_t type)
{
    const hid_t space = H5Dget_space(dataset), create = H5Dget_create_plist(dataset);
    const size_t size = type < 0 ? 0 : H5Tget_size(type);
    const bool good = type >= 0 && H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 &&
                      H5Sget_simple_extent_type(space) == H5S_SCALAR && H5Pget_layout(create) == H5D_CONTIGUOUS &&
                      H5Pget_external_count(create) == 0 && size <= TABLE_MAX && H5Dget_storage_size(dataset) == size;
    if (space >= 0)
        H5Sclose(space);
    if (create >= 0)
        H5Pclose(create);
    return good ? size : 0;
}

int crc_table_read(hid_t file, char **table, const char *path, struct error *err)
{
    H5L_info_t link;
    *table = NULL;
    if (H5Lexists(file, "crc32", H5P_DEFAULT) <= 0)
        return 0;
    const bool hard = H5Lget_info(file, "crc32", &link, H5P_DEFAULT) >= 0 && link.type == H5L_TYPE_HARD;
    const hid_t dataset = hard ? H5Dopen2(file, "crc32", H5P_DEFAULT) : -1, type = dataset < 0 ? -1 : H5Dget_type(dataset);
    const size_t size = dataset < 0 ? 0 : table_size(dataset, type);
    int status = size ? 0 : fail(err, "%s: crc32: expected a text in this file", path);
    if (!status && !(*table = calloc(size + 1, 1)))
        status = fail(err, "%s: out of memory", path);
    if (!status && H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, *table) < 0)
        status = h5_fail(err, path, "crc32");
    if (type >= 0)
        H5Tclose(type);
    if (dataset >= 0)
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
