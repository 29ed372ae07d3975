/* shard_write.c: shards, from tokens as they come to a file that appears whole: see shard.h. */
#include "base/atomic.h"
#include "data/hdf5/h5.h"
#include "data/shard.h"
#include "data/shard_format.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int shard_path(char *path, const char *dir, const char *split, uint64_t index, struct error *err)
{
    if (index >= SHARD_MAX_COUNT ||
        snprintf(path, PATH_MAX, "%s/%s-%05u.h5", dir, split, (unsigned)index) >= PATH_MAX)
        return fail(err, "%s: no name for shard %llu of %s", dir, (unsigned long long)index, split);
    return 0;
}

bool shard_parse_name(const char *name, const char *split, uint64_t *index)
{
    const size_t n = strlen(split);
    if (strncmp(name, split, n) != 0 || name[n] != '-' || strspn(name + n + 1, "0123456789") != 5 ||
        strcmp(name + n + 6, ".h5") != 0)
        return false;
    *index = strtoull(name + n + 1, NULL, 10);
    return *index < SHARD_MAX_COUNT;
}

static hid_t stored_type(uint64_t vocab_size)
{
    return shard_token_width(vocab_size) == 2 ? H5T_STD_U16LE : H5T_STD_U32LE;
}

struct shard_writer {
    char *path;
    struct h5_image image;
    hid_t dataset;
    uint64_t tokens, written, vocab_size;
    size_t width, pending; /* tokens in the buffer */
    struct digest digest;
    bool has_documents;
    uint64_t *documents, n_documents;
    uint8_t buffer[SHARD_CHUNK * 4];
};

static int write_attributes(hid_t root, const struct shard_info *info, const char *file,
                            struct error *err)
{
    if (h5_write_u64(root, "format", SHARD_FORMAT, file, err) != 0 ||
        h5_write_string(root, "split", info->split, file, err) != 0 ||
        h5_write_u64(root, "index", info->index, file, err) != 0 ||
        h5_write_u64(root, "count", info->count, file, err) != 0 ||
        h5_write_string(root, "tokenizer_kind", info->tokenizer_kind, file, err) != 0 ||
        h5_write_string(root, "tokenizer_fingerprint", info->tokenizer_fingerprint, file, err) !=
            0 ||
        h5_write_u64(root, "vocab_size", info->vocab_size, file, err) != 0 ||
        h5_write_string(root, "corpus", info->corpus, file, err) != 0 ||
        h5_write_u64(root, "tokens", info->tokens, file, err) != 0 ||
        h5_write_string(root, "sources", info->sources ? info->sources : "[]", file, err) != 0)
        return -1;
    return 0;
}

struct shard_writer *shard_writer_create(const char *path, const struct shard_info *info,
                                         struct error *err)
{
    if (info->tokens == 0) {
        fail(err, "%s: a shard without tokens", path);
        return NULL;
    }
    struct shard_writer *w = calloc(1, sizeof *w);
    if (!w || !(w->path = strdup(path))) {
        fail(err, "%s: out of memory", path);
        free(w);
        return NULL;
    }
    w->tokens = info->tokens;
    w->vocab_size = info->vocab_size;
    w->has_documents = info->has_documents;
    w->width = shard_token_width(info->vocab_size);
    w->dataset = -1;
    digest_init(&w->digest);
    h5_lock();
    if (h5_image_create(&w->image, path, err) == 0 &&
        write_attributes(w->image.file, info, path, err) == 0)
        w->dataset =
            h5_dataset_create(w->image.file, "tokens", stored_type(info->vocab_size), info->tokens,
                              info->tokens < SHARD_CHUNK ? info->tokens : SHARD_CHUNK, path, err);
    h5_unlock();
    if (w->dataset < 0) {
        shard_writer_discard(w);
        return NULL;
    }
    return w;
}

/* A whole chunk at a time, or the rest at the end: none is packed twice. */
static int flush_buffer(struct shard_writer *w, struct error *err)
{
    const hsize_t first = w->written, n = w->pending;
    if (n == 0)
        return 0;
    digest_update(&w->digest, w->buffer, w->pending * w->width);
    h5_lock();
    const hid_t file_space = H5Dget_space(w->dataset), memory_space = H5Screate_simple(1, &n, NULL);
    const hid_t type = stored_type(w->vocab_size);
    int status = 0;
    if (H5Sselect_hyperslab(file_space, H5S_SELECT_SET, &first, NULL, &n, NULL) < 0 ||
        H5Dwrite(w->dataset, type, memory_space, file_space, H5P_DEFAULT, w->buffer) < 0)
        status = h5_fail(err, w->path, "packing tokens");
    H5Sclose(file_space);
    H5Sclose(memory_space);
    h5_unlock();
    w->written += n;
    w->pending = 0;
    return status;
}

int shard_writer_append(struct shard_writer *w, const uint32_t *ids, size_t n, struct error *err)
{
    if (n > w->tokens - w->written - w->pending)
        return fail(err, "%s: more than the %llu tokens announced", w->path,
                    (unsigned long long)w->tokens);
    for (size_t i = 0; i < n; i++) {
        if (ids[i] >= w->vocab_size)
            return fail(err, "%s: token id %u, but vocab_size is %llu", w->path, ids[i],
                        (unsigned long long)w->vocab_size);
        for (size_t b = 0; b < w->width; b++)
            w->buffer[w->pending * w->width + b] = (uint8_t)(ids[i] >> 8 * b);
        if (++w->pending == SHARD_CHUNK && flush_buffer(w, err) != 0)
            return -1;
    }
    return 0;
}

int shard_writer_document(struct shard_writer *w, struct error *err)
{
    const uint64_t n = w->n_documents;
    if ((n & (n - 1)) == 0) { /* grows at powers of two */
        uint64_t *larger = realloc(w->documents, (n ? 2 * n : 1) * sizeof *larger);
        if (!larger)
            return fail(err, "%s: out of memory for its documents", w->path);
        w->documents = larger;
    }
    w->documents[w->n_documents++] = w->written + w->pending;
    return 0;
}

void shard_writer_discard(struct shard_writer *w)
{
    if (!w)
        return;
    h5_lock();
    if (w->dataset >= 0)
        H5Dclose(w->dataset);
    h5_unlock();
    h5_image_free(&w->image);
    free(w->documents);
    free(w->path);
    free(w);
}

static int write_documents(struct shard_writer *w, struct error *err)
{
    char sha256[DIGEST_HEX];
    const uint64_t n = w->n_documents;
    shard_digest_documents(w->documents, n, sha256);
    if (h5_write_u64(w->image.file, "documents", n, w->path, err) != 0 ||
        h5_write_string(w->image.file, "documents_sha256", sha256, w->path, err) != 0)
        return -1;
    if (n == 0)
        return 0;
    const hid_t dataset = h5_dataset_create(w->image.file, "documents", H5T_STD_U64LE, n,
                                            n < SHARD_CHUNK ? n : SHARD_CHUNK, w->path, err);
    if (dataset < 0)
        return -1;
    const int status =
        H5Dwrite(dataset, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, w->documents) < 0
            ? h5_fail(err, w->path, "packing documents")
            : 0;
    H5Dclose(dataset);
    return status;
}

/* The attributes that are known at the end. */
static int finish_image(struct shard_writer *w, uint64_t bytes, struct error *err)
{
    char sha256[DIGEST_HEX];
    digest_finish(&w->digest, sha256);
    if (h5_write_string(w->image.file, "sha256", sha256, w->path, err) != 0 ||
        h5_write_u64(w->image.file, "bytes", bytes, w->path, err) != 0 ||
        (w->has_documents && write_documents(w, err) != 0))
        return -1;
    const hid_t dataset = w->dataset;
    w->dataset = -1;
    if (H5Dclose(dataset) < 0)
        return h5_fail(err, w->path, "packing tokens");
    return h5_image_finish(&w->image, w->path, err);
}

int shard_writer_finish(struct shard_writer *w, uint64_t bytes, struct error *err)
{
    int status = flush_buffer(w, err);
    if (status == 0 && w->written != w->tokens)
        status = fail(err, "%s: only %llu of the %llu tokens announced", w->path,
                      (unsigned long long)w->written, (unsigned long long)w->tokens);
    if (status == 0) {
        h5_lock();
        status = finish_image(w, bytes, err);
        h5_unlock();
    }
    if (status == 0)
        status = atomic_write(w->path, w->image.bytes, w->image.size, err);
    shard_writer_discard(w);
    return status;
}
