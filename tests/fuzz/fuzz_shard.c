/* fuzz_shard.c: a whole shard. */
#include "tests/fuzz/fuzz_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz_file file;
    fuzz_shard(fuzz_write(&file, "file", data, size));
    return 0;
}
