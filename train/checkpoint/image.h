/* image.h: the checksummed user block in front of a checkpoint's HDF5 file (docs/file-formats.md).
 *
 * libhdf5 builds and parses the file in memory and never accesses the disk. Nothing is parsed until
 * the checksums have been verified. They detect accidental damage, not forgery.
 */
#pragma once

#include "data/hdf5/h5.h"
#include <stdbool.h>
#include <stdint.h>

enum { USER_BLOCK = 512, IMAGE_VERSION = 1 };

/* Writes the user block of a file in which `length` bytes with this CRC32 follow. */
void image_write_block(unsigned char block[USER_BLOCK], uint64_t length, uint64_t step,
                       uint32_t crc);

/* Whether a file begins with the magic; false if it cannot be read. */
bool image_is(const char *path);
/* Reads the step from the user block, after verifying the block but not the rest of the file. */
int image_step(const char *path, uint64_t *step, struct error *err);
/* Reads a file into memory and verifies both checksums, without parsing it. */
int image_read(struct h5_image *image, uint64_t *step, const char *path, struct error *err);
/* Verifies both checksums without keeping the file in memory. */
int image_verify(const char *path, struct error *err);
