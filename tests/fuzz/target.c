/* target.c: one libFuzzer target a reader, chosen at compile time: -DFUZZ_index, _config, _ids, _tokenizer, _seal.
 *
 * What libhdf5 parses is not among them: it has crashes of its own, and they stay in the sandbox. index fuzzes what a sandbox that was
 * taken over could send, with all that reads from it behind: the first eight bytes say where the index ends and the file begins.
 * Files of the other readers stand in memory (/dev/shm) under one name. */
#include "../../data/bpe_files.h"
#include "../../data/h5_read.h"
#include "../../data/shard.h"
#include "../../data/tokenizer.h"
#include "../../train/config.h"
#include "../../train/ids_file.h"
#include "../../train/image.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static __attribute__((unused)) const char *as_file(const uint8_t *data, size_t size)
{
    static char path[64];
    snprintf(path, sizeof path, "/dev/shm/handgrad-fuzz-%d", (int)getpid());
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    close(fd);
    return path;
}

#if defined FUZZ_index
/* Every member, attribute and dataset, as the readers ask for them. */
static void walk(struct h5_node group, unsigned depth)
{
    static uint64_t elements[1 << 10];
    struct error err;
    uint64_t u;
    double x;
    char *text = NULL;
    static const char *const NAMES[] = {"count", "name", "flat", "packed", "group", "format", "kind", "vocab_size"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        struct h5_node d;
        h5_read_u64(group, NAMES[i], &u, "f", &err);
        h5_read_f64(group, NAMES[i], &x, "f", &err);
        if (h5_read_string(group, NAMES[i], &text, "f", &err) == 0)
            free(text);
        for (enum h5_type t = TYPE_U8; t <= TYPE_F64; t++)
            if (h5_find_dataset(group, NAMES[i], t, 1 << 10, &d, "f", &err) == 0)
                h5_read(d, 0, d.is->dims[0], elements, "f", &err);
        if (depth < 3 && h5_group(group, NAMES[i], &d))
            walk(d, depth + 1);
    }
    tokenizer_destroy(tokenizer_read(group, "f", &err));
}
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err;
#if defined FUZZ_index
    uint64_t split;
    if (size < 8)
        return 0;
    memcpy(&split, data, 8);
    size -= 8, data += 8;
    split = split > size ? size : split;
    void *index = malloc(split + 1), *file = malloc(size - split + 1); /* aligned, and each with an end that is watched */
    memcpy(index, data, split);
    memcpy(file, data + split, size - split);
    struct h5_reader *r = h5_open_index(file, size - split, index, split, "f", &err);
    if (r)
        walk(h5_root(r), 0);
    h5_close(r);
    free(index), free(file);
#elif defined FUZZ_config
    struct config c;
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = 0;
    if (config_parse(&c, text, "f", &err) == 0 && config_check(&c, "f", &err) == 0) {
        char *again = config_text(&c), difference[64];
        struct config back; /* what is written reads as the same */
        if (!again || config_parse(&back, again, "f", &err) || config_diff(&c, &back, difference, sizeof difference))
            abort();
        free(again);
    }
    free(text);
#elif defined FUZZ_ids
    uint32_t *ids;
    size_t rows, columns;
    if (ids_file_read(as_file(data, size), 300, &ids, &rows, &columns, &err) == 0) {
        for (size_t i = 0; i < rows * columns; i++)
            if (ids[i] >= 300)
                abort();
        free(ids);
    }
#elif defined FUZZ_tokenizer
    struct tokenizer *t = tokenizer_create_bpe(bpe_load(as_file(data, size), NULL, &err), &err);
    uint32_t *ids;
    size_t n;
    if (t && tokenizer_encode(t, "It was the best of times, 1859.\n", 32, &ids, &n, &err) == 0)
        free(ids);
    tokenizer_destroy(t);
#elif defined FUZZ_seal
    struct h5_image image;
    uint64_t step;
    if (image_read(&image, &step, as_file(data, size), &err) == 0 && image.size != size)
        abort();
    h5_image_free(&image);
#endif
    return 0;
}
