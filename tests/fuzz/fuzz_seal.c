/* fuzz_seal.c: the user block of a checkpoint, up to where its payload is known to be what was written. */
#include "../../train/image.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz_file file;
    struct error err;
    struct h5_image image;
    uint64_t step;
    const char *path = fuzz_write(&file, "file", data, size);
    const int status = image_read(&image, &step, path, &err);
    if ((status == 0 && image.size != size) || status != image_verify(path, &err))
        abort();
    h5_image_free(&image);
    return 0;
}
