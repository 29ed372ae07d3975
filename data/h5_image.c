/* h5_image.c: HDF5 files that are made in memory.
 *
 * The core driver, told not to touch the disk, lets us allocate its buffer; instead of freeing it when the file is closed, we
 * keep it. Not H5Fget_file_image: it copies the file, and up to HDF5 1.14.6 its copies of the 1.10 format cannot be opened (it
 * clears a flag in the superblock and leaves the checksum as it was; HDFGroup/hdf5 issue 1915).
 */
#include "h5.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INCREMENT = 64 << 10 /* by which the driver lets a file grow */ };

static void *on_realloc(void *bytes, size_t size, H5FD_file_image_op_t op, void *context)
{
    (void)op;
    struct h5_image *image = context;
    unsigned char *grown = realloc(bytes, size);
    if (!grown)
        return NULL;
    if (size > image->size)
        memset(grown + image->size, 0, size - image->size); /* equal contents, equal bytes */
    image->bytes = grown;
    image->size = size;
    return grown;
}

static void *on_malloc(size_t size, H5FD_file_image_op_t op, void *context)
{
    return on_realloc(NULL, size, op, context);
}

static void *on_memcpy(void *to, const void *from, size_t size, H5FD_file_image_op_t op, void *context)
{
    (void)op, (void)context;
    return memcpy(to, from, size);
}

static herr_t on_free(void *bytes, H5FD_file_image_op_t op, void *context)
{
    (void)bytes, (void)op, (void)context;
    return 0;
}

/* Copies of the property list share the one image. */
static void *on_copy_context(void *context)
{
    return context;
}

static herr_t on_free_context(void *context)
{
    (void)context;
    return 0;
}

static hid_t create_file(struct h5_image *image)
{
    /* The library looks for open files of this name: none can have it. */
    char name[64];
    snprintf(name, sizeof name, "/dev/null/%p", (void *)image);
    H5FD_file_image_callbacks_t callbacks = {on_malloc, on_memcpy, on_realloc, on_free, on_copy_context, on_free_context, image};
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS), create = H5Pcreate(H5P_FILE_CREATE);
    hid_t file = -1;
    /* One format, whatever the library: 1.10's, the first that checksums all of its metadata. */
    if (H5Pset_file_image_callbacks(access, &callbacks) >= 0 && H5Pset_fapl_core(access, INCREMENT, false) >= 0 &&
        H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0 &&
        H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110) >= 0 && H5Pset_obj_track_times(create, false) >= 0)
        file = H5Fcreate(name, H5F_ACC_TRUNC, create, access);
    H5Pclose(access);
    H5Pclose(create);
    return file;
}

int h5_image_create(struct h5_image *image, const char *file, struct error *err)
{
    *image = (struct h5_image){.file = -1};
    h5_lock();
    image->file = create_file(image);
    const int status = image->file < 0 ? h5_fail(err, file, "cannot begin an HDF5 file in memory") : 0;
    h5_unlock();
    if (status != 0)
        h5_image_free(image);
    return status;
}

/* Where a closed file ends is written in its superblock (HDF5 file format 3.0, II.A, versions 2 and 3); the buffer is longer. 0
 * where there is no such superblock. */
static size_t file_end(const struct h5_image *image)
{
    enum { VERSION = 8, OFFSET_SIZE = 9, END = 28, SUPERBLOCK = 48 };
    if (image->size < SUPERBLOCK || memcmp(image->bytes, "\x89HDF\r\n\x1a\n", 8) != 0 || image->bytes[VERSION] < 2 ||
        image->bytes[OFFSET_SIZE] != 8)
        return 0;
    uint64_t end = 0;
    for (unsigned i = 0; i < 8; i++)
        end |= (uint64_t)image->bytes[END + i] << 8 * i;
    return end <= image->size ? end : 0;
}

int h5_image_finish(struct h5_image *image, const char *file, struct error *err)
{
    h5_lock();
    const bool closed = H5Fclose(image->file) >= 0;
    image->file = -1;
    image->size = closed ? file_end(image) : 0;
    const int status = image->size ? 0 : h5_fail(err, file, "cannot finish the HDF5 file in memory");
    h5_unlock();
    return status;
}

void h5_image_free(struct h5_image *image)
{
    if (image->file >= 0) {
        h5_lock();
        H5Fclose(image->file);
        h5_unlock();
    }
    free(image->bytes);
    *image = (struct h5_image){.file = -1};
}
