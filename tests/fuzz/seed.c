/* seed.c: seeds that only the library can make. seed FILE.h5 prints the index and the file, as FUZZ_index takes them. */
#include "../../data/h5.h"
#include "../../data/h5_index.h"
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    FILE *f = argc > 1 ? fopen(argv[1], "rb") : NULL;
    static unsigned char bytes[1 << 20], index[1 << 20];
    if (!f)
        return 2;
    const size_t n = fread(bytes, 1, sizeof bytes, f);
    h5_lock();
    const uint64_t size = h5_scan(&(struct h5_scan){bytes, n}, index, sizeof index);
    h5_unlock();
    fclose(f);
    return fwrite(&size, 8, 1, stdout) != 1 || fwrite(index, 1, size, stdout) != size || fwrite(bytes, 1, n, stdout) != n;
}
