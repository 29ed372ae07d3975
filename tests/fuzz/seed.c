/* seed.c: creates fuzzing seeds that need the library.
 *
 *     seed FILE.h5      prints the index and the file in the format of fuzz_index.c. Keeps
 *                       only the file's user block and the bytes of its datasets; the rest is
 *                       long and not read.
 *     seed FILE SIZE    prints the first SIZE bytes of the file with corrected checksums */
#include "data/hdf5/h5.h"
#include "data/hdf5/h5_index.h"
#include "tests/seal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY = 1 << 20, HEAD = 512 };
static unsigned char bytes[CAPACITY], file[CAPACITY];
static size_t used = HEAD;

/* Copies a range to the short file and returns its new offset. */
static uint64_t copy_range(uint64_t offset, uint64_t size)
{
    if (offset > CAPACITY || size > CAPACITY - offset || size > CAPACITY - used)
        exit(2);
    memcpy(file + used, bytes + offset, size);
    used += size;
    return used - size;
}

int main(int argc, char **argv)
{
    static union {
        struct h5_index head;
        unsigned char bytes[CAPACITY];
    } index;
    FILE *f = argc > 1 ? fopen(argv[1], "rb") : NULL;
    if (!f)
        return 2;
    const size_t n = fread(bytes, 1, sizeof bytes, f);
    const size_t sealed = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    if (sealed >= HEAD && sealed <= n) {
        seal(bytes, sealed, 1);
        return fwrite(bytes, 1, sealed, stdout) != sealed;
    }
    h5_lock();
    const uint64_t size = h5_scan(&(struct h5_scan){bytes, n}, &index, sizeof index);
    h5_unlock();
    fclose(f);
    memcpy(file, bytes, HEAD);
    struct h5_entry *entries = (struct h5_entry *)(&index.head + 1);
    struct h5_chunk *chunks = (struct h5_chunk *)(entries + index.head.n_entries);
    for (uint64_t i = 0; i < index.head.n_entries; i++)
        if (entries[i].kind == KIND_DATASET && entries[i].layout == LAYOUT_CONTIGUOUS)
            entries[i].offset = copy_range(entries[i].offset, entries[i].size);
    for (uint64_t i = 0; i < index.head.n_chunks; i++)
        chunks[i].offset = copy_range(chunks[i].offset, chunks[i].size);
    return fwrite(&size, 8, 1, stdout) != 1 || fwrite(&index, 1, size, stdout) != size ||
           fwrite(file, 1, used, stdout) != used;
}
