/* fuzz_hdf5.c: whole HDF5 files through the complete chain. libhdf5 parses them in the sandbox,
 * where it may crash; this process must not. With one or two forks per input this is thousands of
 * times slower than the targets for the two halves of the chain (fuzz_scan.h, fuzz_index.c). */
#include "tests/fuzz/fuzz_h5.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_h5(data, size);
    return 0;
}
