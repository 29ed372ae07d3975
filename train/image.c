/* image.c: an HDF5 file in a buffer of ours, with a checksummed user block in front.
 *
 * Why callbacks and not H5Fget_file_image: that one copies the file, which may be gigabytes, and leaves the user block out. Here
 * the driver's buffer is ours from the start; what it holds after H5Fclose is the file.
 */
#include "image.h"
#include "../data/h5.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum {
    AT_MAGIC = 0,
    AT_VERSION = 16,
    AT_LENGTH = 24,
    AT_STEP = 32,
    AT_PAYLOAD_CRC = 40,
    AT_BLOCK_CRC = 508,
    INCREMENT = 1 << 20 /* by which the driver lets the file grow */
};
/* Readable, and damaged by any conversion of line ends. */
static const char MAGIC[16] = "handgrad\r\n\x1a\n\0\0\0";

static void put(unsigned char *at, size_t size, uint64_t value)
{
    for (size_t i = 0; i < size; i++)
        at[i] = (unsigned char)(value >> 8 * i);
}

static uint64_t get(const unsigned char *at, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)at[i] << 8 * i;
    return value;
}

/* zlib counts in unsigned int: long files go in pieces. */
static uint32_t checksum(const unsigned char *bytes, size_t size)
{
    uLong crc = crc32(0, NULL, 0);
    while (size) {
        const uInt n = size < 1u << 30 ? (uInt)size : 1u << 30;
        crc = crc32(crc, bytes, n);
        bytes += n;
        size -= n;
    }
    return (uint32_t)crc;
}

void image_seal(unsigned char *bytes, size_t size, uint64_t step)
{
    memset(bytes, 0, USER_BLOCK);
    memcpy(bytes + AT_MAGIC, MAGIC, sizeof MAGIC);
    put(bytes + AT_VERSION, 4, IMAGE_VERSION);
    put(bytes + AT_LENGTH, 8, size - USER_BLOCK);
    put(bytes + AT_STEP, 8, step);
    put(bytes + AT_PAYLOAD_CRC, 4, checksum(bytes + USER_BLOCK, size - USER_BLOCK));
    put(bytes + AT_BLOCK_CRC, 4, checksum(bytes, AT_BLOCK_CRC));
}

/* --- what libhdf5 calls in place of malloc and free: always the one buffer --- */

static void *buffer_resize(struct image *image, size_t size)
{
    if (size > image->capacity) {
        unsigned char *bytes = realloc(image->bytes, size);
        if (!bytes)
            return NULL;
        image->bytes = bytes;
        image->capacity = size;
    }
    return image->bytes;
}

static void *on_malloc(size_t size, H5FD_file_image_op_t op, void *image)
{
    (void)op;
    return buffer_resize(image, size);
}

static void *on_realloc(void *bytes, size_t size, H5FD_file_image_op_t op, void *image)
{
    (void)bytes, (void)op;
    return buffer_resize(image, size);
}

static void *on_copy(void *to, const void *from, size_t size, H5FD_file_image_op_t op, void *image)
{
    (void)op, (void)image;
    return memmove(to, from, to == from ? 0 : size);
}

static herr_t on_free(void *bytes, H5FD_file_image_op_t op, void *image)
{
    (void)bytes, (void)op, (void)image;
    return 0;
}

static void *on_copy_image(void *image)
{
    return image;
}

static herr_t on_free_image(void *image)
{
    (void)image;
    return 0;
}

/* Creates or opens the HDF5 file in the buffer. The caller holds the lock. */
static hid_t open_file(struct image *image, bool create)
{
    /* The driver looks its name up on the disk, and takes two files of one name for the same: no file can have this one. */
    char name[64];
    snprintf(name, sizeof name, "/dev/null/%p", (void *)image);
    H5FD_file_image_callbacks_t callbacks = {on_malloc, on_copy, on_realloc, on_free, on_copy_image, on_free_image, image};
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS), layout = H5Pcreate(H5P_FILE_CREATE);
    hid_t file = -1;
    if (H5Pset_file_image_callbacks(access, &callbacks) < 0 || H5Pset_fapl_core(access, INCREMENT, false) < 0)
        goto out;
    if (H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) < 0) /* an error's leftovers go with the file */
        goto out;
    if (!create) {
        if (H5Pset_file_image(access, image->bytes, image->size) >= 0)
            file = H5Fopen(name, H5F_ACC_RDONLY, access);
        goto out;
    }
    /* One format whatever the library: 1.10's, the first to checksum all metadata. No times: equal contents are equal bytes. */
    if (H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110) >= 0 && H5Pset_userblock(layout, USER_BLOCK) >= 0 &&
        H5Pset_obj_track_times(layout, false) >= 0)
        file = H5Fcreate(name, H5F_ACC_TRUNC, layout, access);
out:
    H5Pclose(access);
    H5Pclose(layout);
    return file;
}

int image_create(struct image *image, size_t capacity, const char *name, struct error *err)
{
    *image = (struct image){.bytes = malloc(capacity), .capacity = capacity, .file = -1};
    if (!image->bytes)
        return fail(err, "%s: out of memory for %zu bytes", name, capacity);
    h5_lock();
    image->file = open_file(image, true);
    const int status = image->file < 0 ? h5_fail(err, name, "beginning an HDF5 file in memory") : 0;
    h5_unlock();
    return status;
}

/* Where the file ends is written in its superblock (HDF5 file format 3.0, II.A, versions 2 and 3); the driver's buffer is longer. */
static size_t file_end(const struct image *image)
{
    const unsigned char *superblock = image->bytes + USER_BLOCK;
    if (image->capacity < USER_BLOCK + 48 || memcmp(superblock, "\x89HDF\r\n\x1a\n", 8) || superblock[8] < 2 ||
        superblock[9] != 8)
        return 0;
    const uint64_t end = get(superblock + 28, 8);
    return end > USER_BLOCK && end <= image->capacity ? end : 0;
}

int image_finish(struct image *image, uint64_t step, const char *name, struct error *err)
{
    h5_lock();
    /* Whatever is still open was not finished, though H5Fclose would not mind. */
    const bool closed = H5Fget_obj_count(image->file, H5F_OBJ_ALL | H5F_OBJ_LOCAL) == 1 &&
                        H5Fflush(image->file, H5F_SCOPE_GLOBAL) >= 0 && H5Fclose(image->file) >= 0;
    int status = 0;
    if (closed)
        image->file = -1;
    if (!closed || !(image->size = file_end(image)))
        status = h5_fail(err, name, "finishing the HDF5 file in memory");
    h5_unlock();
    if (status)
        return status;
    image->step = step;
    image_seal(image->bytes, image->size, step);
    return 0;
}

/* --- reading --- */

/* Reads exactly size bytes; errno is 0 where the file ends before. */
static bool read_all(int fd, unsigned char *bytes, size_t size)
{
    while (size) {
        const ssize_t n = read(fd, bytes, size < 1u << 30 ? size : 1u << 30);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n ? errno : 0;
            return false;
        }
        bytes += n;
        size -= (size_t)n;
    }
    return true;
}

bool image_is(const char *path)
{
    unsigned char magic[sizeof MAGIC];
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    const bool is = read_all(fd, magic, sizeof magic) && !memcmp(magic, MAGIC, sizeof magic);
    close(fd);
    return is;
}

/* Everything that can be known before the payload is read: its size above all. */
static int check_block(const unsigned char *block, uint64_t file_size, const char *path, struct error *err)
{
    if (memcmp(block, MAGIC, sizeof MAGIC))
        return fail(err, "%s: not a handgrad checkpoint", path);
    if (get(block + AT_BLOCK_CRC, 4) != checksum(block, AT_BLOCK_CRC))
        return fail(err, "%s: damaged: the checksum of its first 512 bytes is wrong", path);
    if (get(block + AT_VERSION, 4) != IMAGE_VERSION)
        return fail(err, "%s: format version %" PRIu64 ", expected %d", path, get(block + AT_VERSION, 4), IMAGE_VERSION);
    const uint64_t length = get(block + AT_LENGTH, 8);
    if (length != file_size - USER_BLOCK)
        return fail(err, "%s: %s: %" PRIu64 " bytes after the user block, expected %" PRIu64, path,
                    length > file_size - USER_BLOCK ? "truncated" : "too long", file_size - USER_BLOCK, length);
    return 0;
}

static int read_checked(struct image *image, int fd, const char *path, struct error *err)
{
    unsigned char block[USER_BLOCK];
    struct stat st;
    if (fstat(fd, &st))
        return fail(err, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return fail(err, "%s: not a regular file", path);
    const size_t size = (size_t)st.st_size;
    if (size < USER_BLOCK)
        return fail(err, "%s: not a handgrad checkpoint, or truncated: %zu bytes", path, size);
    if (!read_all(fd, block, USER_BLOCK))
        return fail(err, "%s: %s", path, errno ? strerror(errno) : "truncated while it was read");
    if (check_block(block, size, path, err))
        return -1;
    image->bytes = malloc(size);
    if (!image->bytes)
        return fail(err, "%s: out of memory for %zu bytes", path, size);
    image->size = image->capacity = size;
    image->step = get(block + AT_STEP, 8);
    memcpy(image->bytes, block, USER_BLOCK);
    if (!read_all(fd, image->bytes + USER_BLOCK, size - USER_BLOCK))
        return fail(err, "%s: %s", path, errno ? strerror(errno) : "truncated while it was read");
    if (checksum(image->bytes + USER_BLOCK, size - USER_BLOCK) != get(block + AT_PAYLOAD_CRC, 4))
        return fail(err, "%s: damaged: the checksum of its contents is wrong", path);
    return 0;
}

int image_read(struct image *image, const char *path, struct error *err)
{
    *image = (struct image){.file = -1};
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe would hang */
    if (fd < 0)
        return fail(err, "%s: %s", path, strerror(errno));
    const int status = read_checked(image, fd, path, err);
    close(fd);
    return status;
}

int image_open(struct image *image, const char *name, struct error *err)
{
    h5_lock();
    image->file = open_file(image, false);
    const int status = image->file < 0 ? h5_fail(err, name, "not an HDF5 file") : 0;
    h5_unlock();
    return status;
}

void image_free(struct image *image)
{
    if (image->file >= 0) {
        h5_lock();
        H5Fclose(image->file);
        h5_unlock();
    }
    free(image->bytes);
    *image = (struct image){.file = -1};
}
