/* shard_write.c: writing shards. See shard.h. */
#include "base/array.h"
#include "base/atomic.h"
#include "base/minmax.h"
#include "data/documents.h"
#include "data/hdf5/h5.h"
#include "data/shard_format.h"
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int shard_path(char *path, const char *dir, const char *split, uint64_t index, struct error *err)
{
    if (index >= SHARD_MAX_COUNT ||
        snprintf(path, PATH_MAX, "%s/%s-%05u.h5", dir, split, (unsigned)index) >= PATH_MAX)
        return fail(err, "%s: no name for shard %" PRIu64 " of %s", dir, index, split);
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

struct writer {
    const char *path;
    struct shard_info info;
    struct h5_image image;
    hid_t tokens; /* the dataset, closed with the image */
    struct digest digest;
    uint64_t *documents;
    size_t documents_capacity;
};

/* Writes SHARD_FIELDS[first ... end). */
static int write_fields(struct writer *w, size_t first, size_t end, struct error *err)
{
    int status = 0;
    for (size_t i = first; i < end && status == 0; i++) {
        const struct shard_field *f = &SHARD_FIELDS[i];
        const void *value = (const char *)&w->info + f->offset;
        status = f->size == sizeof(uint64_t)
                     ? h5_write_u64(w->image.file, f->name, *(const uint64_t *)value, w->path, err)
                     : h5_write_string(w->image.file, f->name, value, w->path, err);
    }
    return status;
}

/* Writes a chunk, which is packed in place. */
static int write_chunk(struct writer *w, uint64_t first, size_t n, uint32_t *ids, struct error *err)
{
    struct shard_info *info = &w->info;
    const enum h5_type type = shard_token_type(info->vocab_size);
    for (size_t i = 0; i < n; i++) {
        if (info->has_documents && ids[i] & DOCUMENT_BEGIN) {
            if (!array_reserve(&w->documents, &w->documents_capacity, info->documents + 1))
                return fail(err, "%s: out of memory for its documents", w->path);
            w->documents[info->documents++] = first + i;
            ids[i] &= ~DOCUMENT_BEGIN;
        }
        if (ids[i] >= info->vocab_size)
            return fail(err, "%s: token id %u, but vocab_size is %" PRIu64, w->path, ids[i],
                        info->vocab_size);
    }
    digest_update(&w->digest, ids, shard_pack(ids, n, type));
    const hid_t file_space = H5Dget_space(w->tokens),
                memory_space = H5Screate_simple(1, (hsize_t[]){n}, NULL);
    int status = 0;
    if (H5Sselect_hyperslab(file_space, H5S_SELECT_SET, (hsize_t[]){first}, NULL, (hsize_t[]){n},
                            NULL) < 0 ||
        H5Dwrite(w->tokens, h5_type_id(type, false), memory_space, file_space, H5P_DEFAULT, ids) <
            0)
        status = h5_fail(err, w->path, "packing tokens");
    H5Sclose(file_space);
    H5Sclose(memory_space);
    return status;
}

static int write_tokens(struct writer *w, shard_source *source, void *context, struct error *err)
{
    struct shard_info *info = &w->info;
    uint32_t ids[SHARD_CHUNK];
    int status = 0;
    w->tokens = h5_dataset_create(w->image.file, "tokens", shard_token_type(info->vocab_size),
                                  info->tokens, SHARD_CHUNK, w->path, err);
    if (w->tokens < 0)
        return -1;
    digest_init(&w->digest);
    for (uint64_t first = 0; first < info->tokens && status == 0; first += SHARD_CHUNK) {
        const size_t n = size_min(SHARD_CHUNK, info->tokens - first);
        status = source(context, first, n, ids, &info->bytes, err);
        if (status == 0)
            status = write_chunk(w, first, n, ids, err);
    }
    digest_finish(&w->digest, info->sha256);
    return status;
}

/* Writes the fields that are known after the tokens, and the documents. */
static int finish(struct writer *w, struct error *err)
{
    struct shard_info *info = &w->info;
    digest_init(&w->digest);
    digest_update(&w->digest, w->documents, info->documents * sizeof *w->documents);
    digest_finish(&w->digest, info->documents_sha256);
    if (write_fields(w, SHARD_KNOWN_FIELDS,
                     info->has_documents ? SHARD_ALL_FIELDS : SHARD_COMMON_FIELDS, err) ||
        (info->documents && h5_write_array(w->image.file, "documents", TYPE_U64, info->documents,
                                           SHARD_CHUNK, w->documents, w->path, err)))
        return -1;
    return H5Dclose(w->tokens) < 0 ? h5_fail(err, w->path, "packing tokens")
                                   : h5_image_finish(&w->image, w->path, err);
}

int shard_write(const char *path, const struct shard_info *info, shard_source *source,
                void *context, struct error *err)
{
    struct writer w = {.path = path, .info = *info};
    w.info.bytes = w.info.documents = 0;
    if (info->tokens == 0)
        return fail(err, "%s: a shard without tokens", path);
    h5_lock();
    int status = h5_image_create(&w.image, path, err);
    if (status == 0 && (h5_write_u64(w.image.file, "format", SHARD_FORMAT, path, err) ||
                        write_fields(&w, 0, SHARD_KNOWN_FIELDS, err) ||
                        h5_write_string(w.image.file, "sources",
                                        info->sources ? info->sources : "[]", path, err) ||
                        write_tokens(&w, source, context, err) || finish(&w, err)))
        status = -1;
    h5_unlock();
    if (status == 0)
        status = atomic_write(path, w.image.bytes, w.image.size, err);
    h5_image_free(&w.image);
    free(w.documents);
    return status;
}
