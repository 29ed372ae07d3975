/* seal.h: makes the checksums of a modified checkpoint correct again. */
#pragma once

#include "train/checkpoint/image.h"
#include <zlib.h>

/* Writes the user block of bytes[USER_BLOCK … size). */
static inline void seal(unsigned char *bytes, size_t size, uint64_t step)
{
    image_write_block(bytes, size - USER_BLOCK, step,
                      (uint32_t)crc32_z(0, bytes + USER_BLOCK, size - USER_BLOCK));
}
