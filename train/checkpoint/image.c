/* image.c: the sealed user block in front of an HDF5 file in memory; the file itself is data/h5_image.c's. */
#include "train/checkpoint/image.h"
#include "base/input_file.h"
#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum {
    AT_MAGIC = 0,
    AT_VERSION = 16,
    AT_LENGTH = 24,
    AT_STEP = 32,
    AT_PAYLOAD_CRC = 40,
    AT_BLOCK_CRC = 508
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
uint32_t image_checksum(uint32_t crc, const void *bytes, size_t size)
{
    for (const unsigned char *p = bytes; size;) {
        const uInt n = size < 1u << 30 ? (uInt)size : 1u << 30;
        crc = (uint32_t)crc32(crc, p, n);
        p += n;
        size -= n;
    }
    return crc;
}

static uint32_t checksum(const unsigned char *bytes, size_t size)
{
    return image_checksum(0, bytes, size);
}

void image_write_block(unsigned char block[USER_BLOCK], uint64_t length, uint64_t step,
                       uint32_t crc)
{
    memset(block, 0, USER_BLOCK);
    memcpy(block + AT_MAGIC, MAGIC, sizeof MAGIC);
    put(block + AT_VERSION, 4, IMAGE_VERSION);
    put(block + AT_LENGTH, 8, length);
    put(block + AT_STEP, 8, step);
    put(block + AT_PAYLOAD_CRC, 4, crc);
    put(block + AT_BLOCK_CRC, 4, checksum(block, AT_BLOCK_CRC));
}

void image_seal(unsigned char *bytes, size_t size, uint64_t step)
{
    image_write_block(bytes, size - USER_BLOCK, step,
                      checksum(bytes + USER_BLOCK, size - USER_BLOCK));
}

/* --- reading --- */

bool image_is(const char *path)
{
    unsigned char magic[sizeof MAGIC];
    struct error ignored;
    uint64_t size;
    const int fd = input_file_open(path, &size, &ignored);
    if (fd < 0)
        return false;
    const bool is = input_file_read(fd, 0, magic, sizeof magic, path, &ignored) == 0 &&
                    !memcmp(magic, MAGIC, sizeof magic);
    close(fd);
    return is;
}

/* Everything that can be known before the payload is read: its size above all. */
static int check_block(const unsigned char *block, uint64_t file_size, const char *path,
                       struct error *err)
{
    if (memcmp(block, MAGIC, sizeof MAGIC))
        return fail(err, "%s: not a handgrad checkpoint", path);
    if (get(block + AT_BLOCK_CRC, 4) != checksum(block, AT_BLOCK_CRC))
        return fail(err, "%s: damaged: the checksum of its first 512 bytes is wrong", path);
    if (get(block + AT_VERSION, 4) != IMAGE_VERSION)
        return fail(err, "%s: format version %" PRIu64 ", expected %d", path,
                    get(block + AT_VERSION, 4), IMAGE_VERSION);
    const uint64_t length = get(block + AT_LENGTH, 8);
    if (length != file_size - USER_BLOCK)
        return fail(err, "%s: %s: %" PRIu64 " bytes after the user block, expected %" PRIu64, path,
                    length > file_size - USER_BLOCK ? "truncated" : "too long",
                    file_size - USER_BLOCK, length);
    return 0;
}

static int read_block(unsigned char *block, int fd, uint64_t size, const char *path,
                      struct error *err)
{
    if (size < USER_BLOCK)
        return fail(err, "%s: not a handgrad checkpoint, or truncated: %" PRIu64 " bytes", path,
                    size);
    return input_file_read(fd, 0, block, USER_BLOCK, path, err) ||
                   check_block(block, size, path, err)
               ? -1
               : 0;
}

int image_step(const char *path, uint64_t *step, struct error *err)
{
    unsigned char block[USER_BLOCK];
    uint64_t size;
    const int fd = input_file_open(path, &size, err);
    if (fd < 0)
        return -1;
    const int status = read_block(block, fd, size, path, err);
    if (!status)
        *step = get(block + AT_STEP, 8);
    close(fd);
    return status;
}

static int read_checked(struct h5_image *image, uint64_t *step, int fd, uint64_t size,
                        const char *path, struct error *err)
{
    unsigned char block[USER_BLOCK];
    if (read_block(block, fd, size, path, err))
        return -1;
    if (memory_check(size, path, err))
        return -1;
    image->bytes = malloc(size);
    if (!image->bytes)
        return fail(err, "%s: out of memory for %" PRIu64 " bytes", path, size);
    image->size = image->capacity = size;
    *step = get(block + AT_STEP, 8);
    memcpy(image->bytes, block, USER_BLOCK);
    if (input_file_read(fd, USER_BLOCK, image->bytes + USER_BLOCK, size - USER_BLOCK, path, err))
        return -1;
    if (checksum(image->bytes + USER_BLOCK, size - USER_BLOCK) != get(block + AT_PAYLOAD_CRC, 4))
        return fail(err, "%s: damaged: the checksum of its contents is wrong", path);
    return 0;
}

int image_read(struct h5_image *image, uint64_t *step, const char *path, struct error *err)
{
    *image = (struct h5_image){.file = -1, .user_block = USER_BLOCK};
    uint64_t size;
    const int fd = input_file_open(path, &size, err);
    if (fd < 0)
        return -1;
    const int status = read_checked(image, step, fd, size, path, err);
    close(fd);
    return status;
}

static int verify(int fd, uint64_t size, const char *path, struct error *err)
{
    enum { CHUNK = 1 << 20 };
    unsigned char block[USER_BLOCK];
    if (read_block(block, fd, size, path, err))
        return -1;
    unsigned char *chunk = malloc(CHUNK);
    if (!chunk)
        return fail(err, "%s: out of memory", path);
    uint32_t crc = 0;
    int status = 0;
    for (uint64_t at = USER_BLOCK, n; at < size && !status; at += n) {
        n = size - at < CHUNK ? size - at : CHUNK;
        status = input_file_read(fd, at, chunk, (size_t)n, path, err);
        if (!status)
            crc = image_checksum(crc, chunk, (size_t)n);
    }
    free(chunk);
    if (!status && crc != get(block + AT_PAYLOAD_CRC, 4))
        status = fail(err, "%s: damaged: the checksum of its contents is wrong", path);
    return status;
}

int image_verify(const char *path, struct error *err)
{
    uint64_t size;
    const int fd = input_file_open(path, &size, err);
    if (fd < 0)
        return -1;
    const int status = verify(fd, size, path, err);
    close(fd);
    return status;
}
