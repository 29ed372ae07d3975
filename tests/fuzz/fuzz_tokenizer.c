/* fuzz_tokenizer.c: the whole HDF5 file of a tokenizer. */
#include "tests/fuzz/fuzz_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz_file file;
    fuzz_tokenizer(fuzz_write(&file, "file", data, size));
    return 0;
}
