/* fuzz_seal.c: the user block of a checkpoint, up to where its payload is known to be what was written. A checksum stops nearly all that
 * is made at random, so each input comes three times: as it is, with the block's checksum made anew, and with that of the payload too. */
#include "tests/fuzz/fuzz.h"
#include "train/checkpoint/image.h"
#include <zlib.h>

static void little_endian(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* Whether it is taken. */
static bool see(const uint8_t *data, size_t size)
{
    static struct fuzz_file file;
    struct error err;
    struct h5_image image;
    uint64_t step;
    const char *path = fuzz_write(&file, "file", data, size);
    const bool taken = image_read(&image, &step, path, &err) == 0;
    if ((taken && image.size != size) || taken != (image_verify(path, &err) == 0))
        abort();
    h5_image_free(&image);
    return taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    see(data, size);
    if (size < USER_BLOCK)
        return 0;
    uint8_t *sealed = malloc(size);
    memcpy(sealed, data, size);
    little_endian(sealed + 508, crc32_z(0, sealed, 508));
    const bool block = see(sealed, size);
    little_endian(sealed + 40, crc32_z(0, sealed + USER_BLOCK, size - USER_BLOCK));
    little_endian(sealed + 508, crc32_z(0, sealed, 508));
    if (!see(sealed, size) && block)
        abort();
    free(sealed);
    return 0;
}
