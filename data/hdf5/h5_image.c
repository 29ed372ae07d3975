/* h5_image.c: HDF5 files in memory.
 *
 * The library's core driver allocates its buffer through callbacks, which keep the buffer when the
 * driver would free it. H5Fget_file_image is not used: it copies the file, and up to HDF5 1.14.6
 * copies of the 1.10 format have a wrong checksum (HDFGroup/hdf5 issue 1915).
 */
#include "base/minmax.h"
#include "data/hdf5/h5.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INCREMENT = 64 << 10 /* by which the driver extends a file */ };

/* New bytes are zero, so that equal contents give equal bytes. */
static bool grow(struct h5_image *image, size_t size)
{
    if (image->bytes && size <= image->capacity)
        return true;
    unsigned char *bytes = image->bytes ? realloc(image->bytes, size) : calloc(size, 1);
    if (!bytes)
        return false;
    if (image->bytes)
        memset(bytes + image->capacity, 0, size - image->capacity);
    image->bytes = bytes;
    image->capacity = size;
    return true;
}

static void *on_realloc(void *bytes, size_t size, H5FD_file_image_op_t op, void *image)
{
    (void)bytes, (void)op;
    struct h5_image *i = image;
    if (!grow(i, size))
        return NULL;
    i->written = size_max(size, i->written);
    return i->bytes;
}

static void *on_malloc(size_t size, H5FD_file_image_op_t op, void *image)
{
    return on_realloc(NULL, size, op, image);
}

static void *on_copy(void *to, const void *from, size_t size, H5FD_file_image_op_t op, void *image)
{
    (void)op, (void)image;
    return memmove(to, from, to == from ? 0 : size); /* an opened image is not copied */
}

static herr_t on_free(void *bytes, H5FD_file_image_op_t op, void *image)
{
    (void)bytes, (void)op, (void)image;
    return 0;
}

/* Copies of a property list share the image. */
static void *on_copy_context(void *image)
{
    return image;
}

static herr_t on_free_context(void *image)
{
    (void)image;
    return 0;
}

/* A property list for access to the image's buffer, with metadata blocks of this size (0: the
 * library's default), and a file name; -1 on error.
 *
 * The driver checks whether a file of this name exists, and treats two open files of one name as
 * the same. No file can have such a name. No two images share one, since a file that could not be
 * closed stays on the library's list. */
static hid_t access_to(struct h5_image *image, size_t metadata, char name[64])
{
    static atomic_ullong images;
    snprintf(name, 64, "/dev/null/%llu", atomic_fetch_add(&images, 1));
    H5FD_file_image_callbacks_t callbacks = {on_malloc,       on_copy,         on_realloc, on_free,
                                             on_copy_context, on_free_context, image};
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (H5Pset_file_image_callbacks(access, &callbacks) >= 0 &&
        H5Pset_fapl_core(access, INCREMENT, false) >= 0 &&
        (!metadata || H5Pset_meta_block_size(access, metadata) >= 0) &&
        /* closing the file closes all objects in it */
        H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0)
        return access;
    H5Pclose(access);
    return -1;
}

static hid_t create_file(struct h5_image *image, size_t metadata)
{
    char name[64];
    const hid_t access = access_to(image, metadata, name), create = H5Pcreate(H5P_FILE_CREATE);
    hid_t file = -1;
    /* Always the format of version 1.10, the first that checksums all metadata. */
    if (H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110) >= 0 &&
        H5Pset_userblock(create, image->user_block) >= 0 &&
        H5Pset_obj_track_times(create, false) >= 0)
        file = H5Fcreate(name, H5F_ACC_TRUNC, create, access);
    H5Pclose(access);
    H5Pclose(create);
    return file;
}

int h5_image_reserve(struct h5_image *image, size_t size, const char *file, struct error *err)
{
    if (grow(image, size))
        return 0;
    image->capacity = image->bytes ? image->capacity : 0;
    return fail(err, "%s: out of memory for %zu bytes", file, size);
}

int h5_image_create_sized(struct h5_image *image, size_t metadata, const char *file,
                          struct error *err)
{
    image->file = -1;
    image->size = image->written = 0;
    if (h5_image_reserve(image, image->capacity, file, err))
        return -1;
    h5_lock();
    image->file = create_file(image, metadata);
    int status = 0;
    if (image->file < 0) {
        status = h5_fail(err, file, "cannot create an HDF5 file in memory");
        h5_image_free(image);
    }
    h5_unlock();
    return status;
}

int h5_image_create(struct h5_image *image, const char *file, struct error *err)
{
    *image = (struct h5_image){.capacity = INCREMENT};
    return h5_image_create_sized(image, 0, file, err);
}

/* The end of a closed file, as its superblock states it (HDF5 file format 3.0, II.A, versions 2 and
 * 3); the buffer is longer. 0 if there is no such superblock. */
static size_t file_end(const struct h5_image *image)
{
    enum { VERSION = 8, OFFSET_SIZE = 9, END = 28, SUPERBLOCK = 48 };
    if (image->capacity < image->user_block + SUPERBLOCK)
        return 0;
    const unsigned char *superblock = image->bytes + image->user_block;
    if (memcmp(superblock, H5_SIGNATURE, 8) != 0 || superblock[VERSION] < 2 ||
        superblock[OFFSET_SIZE] != 8)
        return 0;
    uint64_t end;
    memcpy(&end, superblock + END, 8);
    return end > image->user_block && end <= image->capacity ? end : 0;
}

int h5_image_finish(struct h5_image *image, const char *file, struct error *err)
{
    h5_lock();
    const bool closed = H5Fclose(image->file) >= 0;
    image->file = -1;
    image->size = closed ? file_end(image) : 0;
    const int status =
        image->size ? 0 : h5_fail(err, file, "cannot finish the HDF5 file in memory");
    h5_unlock();
    return status;
}

int h5_image_open(struct h5_image *image, const char *file, struct error *err)
{
    char name[64];
    h5_lock();
    const hid_t access = access_to(image, 0, name);
    if (H5Pset_file_image(access, image->bytes, image->size) >= 0)
        image->file = H5Fopen(name, H5F_ACC_RDONLY, access);
    const int status = image->file < 0 ? h5_fail(err, file, "not an HDF5 file") : 0;
    H5Pclose(access);
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
