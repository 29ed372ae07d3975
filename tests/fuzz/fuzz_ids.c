/* fuzz_ids.c: rows of token ids in decimal. */
#include "tests/fuzz/fuzz.h"
#include "train/ids_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fuzz_file file;
    struct error err;
    uint32_t *ids;
    size_t rows, columns;
    if (ids_file_read(fuzz_write(&file, "file", data, size), 300, &ids, &rows, &columns, &err) ==
        0) {
        for (size_t i = 0; i < rows * columns; i++)
            if (ids[i] >= 300)
                abort();
        free(ids);
    }
    return 0;
}
