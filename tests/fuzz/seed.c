/* seed.c: seeds that only the library can make. seed FILE.h5 prints the index and the file, as fuzz_index.c takes them: of the file the user
 * block's room and the bytes of its datasets alone, since the rest is the library's and long. seed FILE SIZE prints the first SIZE bytes of any
 * file, sealed. */
#include "data/hdf5/h5.h"
#include "data/hdf5/h5_index.h"
#include "tests/seal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 1 << 20, HEAD = 512 };
static unsigned char bytes[ROOM], file[ROOM];
static size_t used = HEAD;

/* Moves what lies there into the short file; returns where it lies now. */
static uint64_t keep(uint64_t offset, uint64_t size)
{
    if (offset > ROOM || size > ROOM - offset || size > ROOM - used)
        exit(2);
    memcpy(file + used, bytes + offset, size);
    used += size;
    return used - size;
}

int main(int argc, char **argv)
{
    static union {
        struct h5_index head;
        unsigned char bytes[ROOM];
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
            entries[i].offset = keep(entries[i].offset, entries[i].size);
    for (uint64_t i = 0; i < index.head.n_chunks; i++)
        chunks[i].offset = keep(chunks[i].offset, chunks[i].size);
    return fwrite(&size, 8, 1, stdout) != 1 || fwrite(&index, 1, size, stdout) != size ||
           fwrite(file, 1, used, stdout) != used;
}
