/* target.c: one fuzzing target a reader, chosen at compile time: -DFUZZ_index, _hdf5, _seal, _config, _ids, _json, _merges, _tiktoken.
 *
 * index: what a sandbox that was taken over could send, with all that reads from it behind. The first eight bytes say where the index
 * ends and the file begins.
 * hdf5: whole files, as a shard, a tokenizer or (behind a fresh seal) a checkpoint. libhdf5 parses them in the sandbox, where it may
 * crash; this process may not. A fork each time: thousands of times slower than the others.
 * merges: vocab.json, a byte 0x01, merges.txt. Files of readers that take a path stand in memory (/dev/shm) under one name. */
#include "../../data/bpe_draft.h"
#include "../../data/h5_read.h"
#include "../../data/shard.h"
#include "../../data/tokenizer.h"
#include "../../train/checkpoint.h"
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

/* A copy with an end that is watched. */
static __attribute__((unused)) char *text_of(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = 0;
    return text;
}

/* A vocabulary that was taken has to work. */
static __attribute__((unused)) void use(struct bpe *b)
{
    struct error err;
    struct tokenizer *t = tokenizer_create_bpe(b, &err);
    uint32_t *ids;
    size_t n;
    if (t && tokenizer_encode(t, "It was the best of times, 1859.\n", 32, &ids, &n, &err) == 0) {
        for (size_t i = 0; i < n; i++)
            if (ids[i] >= tokenizer_vocab_size(t))
                abort();
        free(ids);
    }
    tokenizer_destroy(t);
}

#if defined FUZZ_hdf5
static void read_shard(const char *path)
{
    static uint32_t tokens[1 << 10];
    struct error err;
    uint64_t *begins;
    struct shard *s = shard_open(path, 1 << 20, &err);
    if (!s)
        return;
    const uint64_t n = shard_get_info(s)->tokens;
    (void)shard_read(s, 0, n < 1 << 10 ? n : 1 << 10, tokens, &err);
    if (shard_read_documents(s, &begins, &err) == 0)
        free(begins);
    shard_close(s);
}

/* Whoever means harm seals what he wrote. */
static void read_checkpoint(const uint8_t *data, size_t size)
{
    struct error err;
    struct checkpoint c;
    unsigned char *file = malloc(size);
    memcpy(file, data, size);
    image_seal(file, size, 0);
    struct checkpoint_file *f = checkpoint_open(as_file(file, size), &c, &err);
    free(file);
    float *array = f ? calloc(c.tensors->total, sizeof *array) : NULL;
    if (array)
        (void)checkpoint_read(f, "params", array, &err);
    free(array);
    checkpoint_close(f);
}
#endif

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
    char *text = text_of(data, size);
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
#elif defined FUZZ_json
    cJSON *root = cJSON_ParseWithLength((const char *)data, size);
    if (cJSON_IsObject(root))
        use(bpe_read_hugging_face("f", root, size, NULL, &err));
    cJSON_Delete(root);
#elif defined FUZZ_merges
    const uint8_t *cut = memchr(data, 1, size);
    const size_t n = cut ? (size_t)(cut - data) : size;
    cJSON *vocab = cJSON_ParseWithLength((const char *)data, n);
    char *merges = text_of(cut ? cut + 1 : data, cut ? size - n - 1 : 0);
    if (cJSON_IsObject(vocab))
        use(bpe_read_merges("f", vocab, n, "g", merges, NULL, &err));
    free(merges);
    cJSON_Delete(vocab);
#elif defined FUZZ_tiktoken
    char *text = text_of(data, size);
    use(bpe_read_tiktoken("f", text, size, NULL, &err));
    free(text);
#elif defined FUZZ_hdf5
    if (size > USER_BLOCK && memcmp(data, "\x89HDF\r\n\x1a\n", 8) != 0)
        read_checkpoint(data, size);
    else
        read_shard(as_file(data, size)), tokenizer_destroy(tokenizer_load(as_file(data, size), &err));
#elif defined FUZZ_seal
    struct h5_image image;
    uint64_t step;
    if (image_read(&image, &step, as_file(data, size), &err) == 0 && image.size != size)
        abort();
    h5_image_free(&image);
#endif
    return 0;
}
