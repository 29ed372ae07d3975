/* fuzz_seal.c: the user block of a checkpoint and the verification of its payload. Checksums reject
 * nearly all random inputs, so each input is tried three times: unchanged, with a corrected
 * checksum of the block, and with corrected checksums of block and payload. */
#include "tests/fuzz/fuzz.h"
#include "train/checkpoint/image.h"
#include <zlib.h>

static void little_endian(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* Whether the file is accepted. */
static bool accepts(const uint8_t *data, size_t size)
{
    static struct fuzz_file file;
    struct error err;
    struct h5_image image;
    uint64_t step;
    const char *path = fuzz_write(&file, "file", data, size);
    const bool accepted = image_read(&image, &step, path, &err) == 0;
    if ((accepted && image.size != size) || accepted != (image_verify(path, &err) == 0))
        abort();
    h5_image_free(&image);
    return accepted;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    accepts(data, size);
    if (size < USER_BLOCK)
        return 0;
    uint8_t *sealed = malloc(size);
    memcpy(sealed, data, size);
    little_endian(sealed + 508, crc32_z(0, sealed, 508));
    const bool block = accepts(sealed, size);
    little_endian(sealed + 40, crc32_z(0, sealed + USER_BLOCK, size - USER_BLOCK));
    little_endian(sealed + 508, crc32_z(0, sealed, 508));
    if (!accepts(sealed, size) && block)
        abort();
    free(sealed);
    return 0;
}
