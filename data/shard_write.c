/* shard_write.c: writing shards. See shard.h. */
#include "base/array.h"
#include "base/atomic.h"
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

struct shard_writer {
    char *path;
    struct shard_info info;
    struct h5_image image;
    hid_t dataset; /* closed with the image */
    uint64_t written;
    size_t pending; /* tokens in `ids` */
    struct digest digest;
    uint64_t *documents;
    size_t documents_capacity;
    uint32_t ids[SHARD_CHUNK];
};

/* Writes SHARD_FIELDS[first ... end). */
static int write_fields(struct shard_writer *w, size_t first, size_t end, struct error *err)
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

static int create_file(struct shard_writer *w, struct error *err)
{
    const struct shard_info *i = &w->info;
    if (h5_image_create(&w->image, w->path, err) != 0 ||
        h5_write_u64(w->image.file, "format", SHARD_FORMAT, w->path, err) != 0 ||
        write_fields(w, 0, SHARD_KNOWN_FIELDS, err) != 0 ||
        h5_write_string(w->image.file, "sources", i->sources ? i->sources : "[]", w->path, err))
        return -1;
    w->dataset = h5_dataset_create(w->image.file, "tokens", shard_token_type(i->vocab_size),
                                   i->tokens, SHARD_CHUNK, w->path, err);
    return w->dataset < 0 ? -1 : 0;
}

struct shard_writer *shard_writer_create(const char *path, const struct shard_info *info,
                                         struct error *err)
{
    if (info->tokens == 0)
        return fail_null(err, "%s: a shard without tokens", path);
    struct shard_writer *w = calloc(1, sizeof *w);
    if (!w || !(w->path = strdup(path))) {
        free(w);
        return fail_null(err, "%s: out of memory", path);
    }
    w->info = *info;
    w->info.documents = 0;
    w->image.file = -1;
    digest_init(&w->digest);
    h5_lock();
    const int status = create_file(w, err);
    h5_unlock();
    if (status == 0)
        return w;
    shard_writer_discard(w);
    return NULL;
}

/* Writes a whole chunk, or the remainder at the end, so that no chunk is packed twice. */
static int flush(struct shard_writer *w, struct error *err)
{
    const hsize_t first = w->written, n = w->pending;
    if (n == 0)
        return 0;
    const enum h5_type type = shard_token_type(w->info.vocab_size);
    digest_update(&w->digest, w->ids, shard_pack(w->ids, n, type));
    h5_lock();
    const hid_t file_space = H5Dget_space(w->dataset), memory_space = H5Screate_simple(1, &n, NULL);
    int status = 0;
    if (H5Sselect_hyperslab(file_space, H5S_SELECT_SET, &first, NULL, &n, NULL) < 0 ||
        H5Dwrite(w->dataset, h5_type_id(type, false), memory_space, file_space, H5P_DEFAULT,
                 w->ids) < 0)
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
    if (n > w->info.tokens - w->written - w->pending)
        return fail(err, "%s: more than the %" PRIu64 " tokens announced", w->path, w->info.tokens);
    for (size_t i = 0; i < n; i++) {
        if (ids[i] >= w->info.vocab_size)
            return fail(err, "%s: token id %u, but vocab_size is %" PRIu64, w->path, ids[i],
                        w->info.vocab_size);
        w->ids[w->pending++] = ids[i];
        if (w->pending == SHARD_CHUNK && flush(w, err) != 0)
            return -1;
    }
    return 0;
}

int shard_writer_document(struct shard_writer *w, struct error *err)
{
    if (!array_reserve(&w->documents, &w->documents_capacity, w->info.documents + 1))
        return fail(err, "%s: out of memory for its documents", w->path);
    w->documents[w->info.documents++] = w->written + w->pending;
    return 0;
}

void shard_writer_discard(struct shard_writer *w)
{
    if (!w)
        return;
    h5_image_free(&w->image);
    free(w->documents);
    free(w->path);
    free(w);
}

/* Writes what is known at the end, and closes the file. */
static int finish_file(struct shard_writer *w, struct error *err)
{
    struct shard_info *i = &w->info;
    digest_finish(&w->digest, i->sha256);
    digest_init(&w->digest);
    digest_update(&w->digest, w->documents, i->documents * sizeof *w->documents);
    digest_finish(&w->digest, i->documents_sha256);
    if (write_fields(w, SHARD_KNOWN_FIELDS,
                     i->has_documents ? SHARD_ALL_FIELDS : SHARD_COMMON_FIELDS, err) != 0 ||
        (i->documents && h5_write_array(w->image.file, "documents", TYPE_U64, i->documents,
                                        SHARD_CHUNK, w->documents, w->path, err) != 0))
        return -1;
    return H5Dclose(w->dataset) < 0 ? h5_fail(err, w->path, "packing tokens")
                                    : h5_image_finish(&w->image, w->path, err);
}

int shard_writer_finish(struct shard_writer *w, uint64_t bytes, struct error *err)
{
    int status = flush(w, err);
    w->info.bytes = bytes;
    if (status == 0 && w->written != w->info.tokens)
        status = fail(err, "%s: only %" PRIu64 " of the %" PRIu64 " tokens announced", w->path,
                      w->written, w->info.tokens);
    if (status == 0) {
        h5_lock();
        status = finish_file(w, err);
        h5_unlock();
    }
    if (status == 0)
        status = atomic_write(w->path, w->image.bytes, w->image.size, err);
    shard_writer_discard(w);
    return status;
}
