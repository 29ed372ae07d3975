/* fuzz_h5.h: passes an untrusted HDF5 file to each of its readers: as a shard, as a tokenizer, and,
 * with corrected checksums, as a checkpoint. */
#pragma once

#include "data/shard.h"
#include "tests/fuzz/fuzz.h"
#include "tests/seal.h"
#include "train/checkpoint/checkpoint.h"

/* Replaces the function of libhdf5 that returns the two checksums to compare. They protect nearly
 * all metadata: an attacker would correct them, and random inputs would not pass them. */
int H5F_get_checksums(const uint8_t *bytes, size_t size, uint32_t *stored, uint32_t *computed);

int H5F_get_checksums(const uint8_t *bytes, size_t size, uint32_t *stored, uint32_t *computed)
{
    (void)bytes, (void)size;
    if (stored)
        *stored = 0;
    if (computed)
        *computed = 0;
    return 0;
}

static inline void fuzz_shard(const char *path)
{
    static uint32_t tokens[1 << 10];
    struct error err;
    uint64_t *begins;
    struct shard *s = shard_open(path, 1 << 20, &err);
    if (!s)
        return;
    const uint64_t n = shard_get_info(s)->tokens;
    (void)shard_read(s, 0, n < 1 << 10 ? n : 1 << 10, tokens, &err);
    (void)shard_verify(s, &err);
    if (shard_read_documents(s, &begins, &err) == 0)
        free(begins);
    shard_close(s);
}

static inline void fuzz_tokenizer(const char *path)
{
    struct error err;
    struct tokenizer *t = tokenizer_load(path, &err);
    if (t)
        fuzz_round_trip(t, "1 12 times 300\n", 15);
    tokenizer_destroy(t);
}

static inline void fuzz_checkpoint(const char *path)
{
    struct error err;
    struct checkpoint c;
    struct checkpoint_file *f = checkpoint_open(path, &c, &err);
    float *array = f ? calloc(c.tensors->total, sizeof *array) : NULL;
    static const char *const GROUPS[] = {"params", "adamw/m", "adamw/v", "grads"};
    for (size_t i = 0; array && i < sizeof GROUPS / sizeof *GROUPS; i++)
        if (checkpoint_has(f, GROUPS[i]))
            (void)checkpoint_read(f, GROUPS[i], array, &err);
    free(array);
    checkpoint_close(f);
}

/* Writes the file with corrected checksums, as an attacker would. */
static inline const char *fuzz_write_sealed(struct fuzz_file *to, const uint8_t *data, size_t size)
{
    unsigned char *file = malloc(size);
    memcpy(file, data, size);
    seal(file, size, 0);
    const char *path = fuzz_write(to, "file", file, size);
    free(file);
    return path;
}

/* A file with a user block is a checkpoint, any other a shard or a tokenizer. */
static inline void fuzz_h5(const uint8_t *data, size_t size)
{
    static struct fuzz_file file;
    if (size > USER_BLOCK && memcmp(data, "\x89HDF\r\n\x1a\n", 8) != 0) {
        fuzz_checkpoint(fuzz_write_sealed(&file, data, size));
        return;
    }
    const char *path = fuzz_write(&file, "file", data, size);
    fuzz_shard(path);
    fuzz_tokenizer(path);
}
