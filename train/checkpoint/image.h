/* image.h: an HDF5 file that lives in a buffer of ours (data/h5.h), with a checksummed user block in front.
 *
 * libhdf5 builds and parses the buffer in place and never sees the disk. Nothing of a file is parsed before the user block has
 * vouched for all of it: against accidents, not against somebody who writes a checksum.
 *
 *   offset  size  field, little-endian
 *        0    16  magic
 *       16     4  version of the format
 *       24     8  bytes that follow the block
 *       32     8  step
 *       40     4  CRC32 (zlib) of the bytes that follow the block
 *      508     4  CRC32 of the bytes 0 … 507
 */
#ifndef IMAGE_H
#define IMAGE_H

#include "data/hdf5/h5.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { USER_BLOCK = 512, IMAGE_VERSION = 1 };

/* The user block of `length` bytes that follow it and have this CRC32. */
void image_write_block(unsigned char block[USER_BLOCK], uint64_t length, uint64_t step,
                       uint32_t crc);
/* The user block of bytes[USER_BLOCK … size). */
void image_seal(unsigned char *bytes, size_t size, uint64_t step);
/* zlib's CRC32 of any number of bytes, that go on after others of CRC `crc` (0 at the beginning). */
uint32_t image_checksum(uint32_t crc, const void *bytes, size_t size);

/* Whether a file begins with the magic; false also where it cannot be read. */
bool image_is(const char *path);
/* The step in the user block of a file, which is checked; the rest is not. */
int image_step(const char *path, uint64_t *step, struct error *err);
/* Reads a file and checks user block and payload; parses nothing: h5_open_bytes does. */
int image_read(struct h5_image *image, uint64_t *step, const char *path, struct error *err);
/* The same check of a file that is not kept in memory. */
int image_verify(const char *path, struct error *err);

#endif
