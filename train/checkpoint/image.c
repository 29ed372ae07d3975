/* image.c: see image.h. */
#include "train/checkpoint/image.h"
#include "base/input_file.h"
#include "base/memory.h"
#include "base/minmax.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

struct user_block {
    char magic[16];
    uint32_t version, zero;
    uint64_t length, step; /* length: bytes that follow the block */
    uint32_t crc;          /* of these */
    unsigned char zeros[464];
    uint32_t block_crc; /* of all of the above */
};
_Static_assert(sizeof(struct user_block) == USER_BLOCK && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "the user block and the tensors of a checkpoint are stored as they are in memory");

/* Readable as text, and damaged by any conversion of line endings. */
static const char MAGIC[16] = "handgrad\r\n\x1a\n\0\0\0";

static uint32_t block_crc(const struct user_block *b)
{
    return (uint32_t)crc32_z(0, (const unsigned char *)b, offsetof(struct user_block, block_crc));
}

void image_write_block(unsigned char block[USER_BLOCK], uint64_t length, uint64_t step,
                       uint32_t crc)
{
    struct user_block b = {.version = IMAGE_VERSION, .length = length, .step = step, .crc = crc};
    memcpy(b.magic, MAGIC, sizeof MAGIC);
    b.block_crc = block_crc(&b);
    memcpy(block, &b, sizeof b);
}

/* --- reading --- */

bool image_is(const char *path)
{
    char magic[sizeof MAGIC];
    struct error ignored;
    uint64_t size;
    const int fd = input_file_open(path, NO_LINKS, &size, &ignored);
    if (fd < 0)
        return false;
    const bool is = input_file_read(fd, 0, magic, sizeof magic, path, &ignored) == 0 &&
                    !memcmp(magic, MAGIC, sizeof magic);
    close(fd);
    return is;
}

static int check_block(const struct user_block *b, uint64_t file_size, const char *path,
                       struct error *err)
{
    const uint64_t length = file_size - USER_BLOCK;
    if (memcmp(b->magic, MAGIC, sizeof MAGIC))
        return fail(err, "%s: not a handgrad checkpoint", path);
    if (b->block_crc != block_crc(b))
        return fail(err, "%s: damaged: the checksum of its first 512 bytes is wrong", path);
    if (b->version != IMAGE_VERSION)
        return fail(err, "%s: format version %" PRIu32 ", expected %d", path, b->version,
                    IMAGE_VERSION);
    if (b->length != length)
        return fail(err, "%s: %s: %" PRIu64 " bytes after the user block, expected %" PRIu64, path,
                    b->length > length ? "truncated" : "too long", length, b->length);
    return 0;
}

/* Opens a file of `size` bytes, then reads and verifies its user block. The descriptor, or -1. */
static int open_block(struct user_block *b, uint64_t *size, const char *path, struct error *err)
{
    const int fd = input_file_open(path, NO_LINKS, size, err);
    if (fd < 0)
        return -1;
    const int status =
        *size < USER_BLOCK
            ? fail(err, "%s: not a handgrad checkpoint, or truncated: %" PRIu64 " bytes", path,
                   *size)
            : input_file_read(fd, 0, b, sizeof *b, path, err) || check_block(b, *size, path, err);
    if (!status)
        return fd;
    close(fd);
    return -1;
}

static int check_crc(const struct user_block *b, uint32_t crc, const char *path, struct error *err)
{
    return b->crc == crc ? 0
                         : fail(err, "%s: damaged: the checksum of its contents is wrong", path);
}

int image_step(const char *path, uint64_t *step, struct error *err)
{
    struct user_block b;
    uint64_t size;
    const int fd = open_block(&b, &size, path, err);
    if (fd < 0)
        return -1;
    *step = b.step;
    close(fd);
    return 0;
}

static int read_all(struct h5_image *image, const struct user_block *b, int fd, const char *path,
                    struct error *err)
{
    const size_t size = USER_BLOCK + b->length;
    if (memory_check(size, path, err))
        return -1;
    image->bytes = malloc(size);
    if (!image->bytes)
        return fail(err, "%s: out of memory for %zu bytes", path, size);
    image->size = image->capacity = size;
    memcpy(image->bytes, b, sizeof *b);
    unsigned char *contents = image->bytes + USER_BLOCK;
    return input_file_read(fd, USER_BLOCK, contents, b->length, path, err) ||
                   check_crc(b, (uint32_t)crc32_z(0, contents, b->length), path, err)
               ? -1
               : 0;
}

int image_read(struct h5_image *image, uint64_t *step, const char *path, struct error *err)
{
    struct user_block b;
    uint64_t size;
    *image = (struct h5_image){.file = -1, .user_block = USER_BLOCK};
    const int fd = open_block(&b, &size, path, err);
    if (fd < 0)
        return -1;
    *step = b.step;
    const int status = read_all(image, &b, fd, path, err);
    close(fd);
    return status;
}

int image_verify(const char *path, struct error *err)
{
    enum { CHUNK = 1 << 20 };
    struct user_block b;
    uint64_t size;
    const int fd = open_block(&b, &size, path, err);
    if (fd < 0)
        return -1;
    unsigned char *chunk = malloc(CHUNK);
    int status = chunk ? 0 : fail(err, "%s: out of memory", path);
    uint32_t crc = 0;
    for (uint64_t at = USER_BLOCK, n; at < size && !status; at += n) {
        n = size_min(size - at, CHUNK);
        status = input_file_read(fd, at, chunk, n, path, err);
        if (!status)
            crc = (uint32_t)crc32_z(crc, chunk, n);
    }
    free(chunk);
    close(fd);
    return status ? status : check_crc(&b, crc, path, err);
}
