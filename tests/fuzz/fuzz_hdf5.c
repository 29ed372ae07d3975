/* fuzz_hdf5.c: whole files, all of the chain. libhdf5 parses them in the sandbox, where it may crash; this process may not. A fork or two
 * each time: thousands of times slower than the others, which take the two halves of it (fuzz_scan.h, fuzz_index.c). */
#include "tests/fuzz/fuzz_h5.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_h5(data, size);
    return 0;
}
