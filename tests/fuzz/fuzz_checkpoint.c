/* fuzz_checkpoint.c: a whole checkpoint, with valid checksums of the user block. */
#include "tests/fuzz/fuzz_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz_file file;
    if (size > USER_BLOCK)
        fuzz_checkpoint(fuzz_write_sealed(&file, data, size));
    return 0;
}
