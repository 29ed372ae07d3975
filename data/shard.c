/* shard.c: see shard.h. */
#include "data/shard.h"
#include "base/array.h"
#include "base/atomic.h"
#include "base/minmax.h"
#include "data/documents.h"
#include "data/hdf5/h5.h"
#include "data/hdf5/h5_read.h"
#include "data/tokenizer/bpe.h"
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the format --- */

/* A chunk has 16,384 tokens. As uint16 that is 32 KiB, the window of deflate, so larger chunks
 * would hardly compress better. A random window of a few hundred tokens must unpack one or two
 * chunks, at 0.1 ms each. */
enum { FORMAT = 1, CHUNK = 16384 };

/* Attributes that are fields of struct shard_info: uint64_t, or strings. */
struct field {
    const char *name;
    size_t offset, size;
};
#define FIELD(field)                                                                               \
    {                                                                                              \
#field, offsetof(struct shard_info, field), sizeof((struct shard_info *)0)->field          \
    }
static const struct field FIELDS[] = {FIELD(split),
                                      FIELD(index),
                                      FIELD(count),
                                      FIELD(tokenizer_kind),
                                      FIELD(tokenizer_fingerprint),
                                      FIELD(vocab_size),
                                      FIELD(corpus),
                                      FIELD(tokens),
                                      FIELD(sha256),
                                      FIELD(bytes),
                                      FIELD(documents),
                                      FIELD(documents_sha256)};
/* The first fields are known before the tokens; the last two exist only with documents. */
enum { KNOWN_FIELDS = 8, COMMON_FIELDS = 10, ALL_FIELDS = 12 };

/* The type of /tokens. */
static enum h5_type token_type(uint64_t vocab_size)
{
    return vocab_size <= 65536 ? TYPE_U16 : TYPE_U32;
}

/* Narrows tokens to their stored width, in place. Returns their bytes. */
static size_t pack(uint32_t *tokens, size_t n, enum h5_type type)
{
    for (size_t i = 0; type == TYPE_U16 && i < n; i++)
        memcpy((uint16_t *)tokens + i, &(uint16_t){(uint16_t)tokens[i]}, sizeof(uint16_t));
    return n * (type == TYPE_U16 ? sizeof(uint16_t) : sizeof(uint32_t));
}

/* --- writing --- */

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

/* Writes FIELDS[first ... end). */
static int write_fields(struct writer *w, size_t first, size_t end, struct error *err)
{
    int status = 0;
    for (size_t i = first; i < end && status == 0; i++) {
        const struct field *f = &FIELDS[i];
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
    const enum h5_type type = token_type(info->vocab_size);
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
    digest_update(&w->digest, ids, pack(ids, n, type));
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
    uint32_t ids[CHUNK];
    int status = 0;
    w->tokens = h5_dataset_create(w->image.file, "tokens", token_type(info->vocab_size),
                                  info->tokens, CHUNK, w->path, err);
    if (w->tokens < 0)
        return -1;
    digest_init(&w->digest);
    for (uint64_t first = 0; first < info->tokens && status == 0; first += CHUNK) {
        const size_t n = size_min(CHUNK, info->tokens - first);
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
    if (write_fields(w, KNOWN_FIELDS, info->has_documents ? ALL_FIELDS : COMMON_FIELDS, err) ||
        (info->documents && h5_write_array(w->image.file, "documents", TYPE_U64, info->documents,
                                           CHUNK, w->documents, w->path, err)))
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
    if (status == 0 && (h5_write_u64(w.image.file, "format", FORMAT, path, err) ||
                        write_fields(&w, 0, KNOWN_FIELDS, err) ||
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

/* --- reading --- */

static const uint64_t MAX_TOKENS = (uint64_t)1 << 40; /* so that no sum of offsets overflows */
static const uint64_t MAX_VOCAB = (uint64_t)1 << 31;

struct shard {
    char *path;
    struct h5_reader *file;
    struct h5_node tokens;
    struct h5_cache cache;
    struct shard_info info;
    char *sources;
};

static int read_string(struct shard *s, const struct field *f, char *out, struct error *err)
{
    char *text;
    if (h5_read_string(h5_root(s->file), f->name, &text, err))
        return -1;
    int status = 0;
    if (strlen(text) >= f->size)
        status = fail(err, "%s: attribute %s: \"%.40s…\" is too long", s->path, f->name, text);
    else if (f->size == DIGEST_HEX && !digest_is_hex(text))
        status = fail(err, "%s: attribute %s: \"%s\" is not a SHA-256 in hexadecimal", s->path,
                      f->name, text);
    else
        strcpy(out, text);
    free(text);
    return status;
}

/* Reads FIELDS[first ... end). */
static int read_fields(struct shard *s, size_t first, size_t end, struct error *err)
{
    int status = 0;
    for (size_t i = first; i < end && status == 0; i++) {
        const struct field *f = &FIELDS[i];
        char *value = (char *)&s->info + f->offset;
        status = f->size == sizeof(uint64_t)
                     ? h5_read_u64(h5_root(s->file), f->name, (uint64_t *)(void *)value, err)
                     : read_string(s, f, value, err);
    }
    return status;
}

static int check_info(const struct shard *s, struct error *err)
{
    const struct shard_info *i = &s->info;
    if (i->index >= i->count || i->count > SHARD_MAX_COUNT)
        return fail(err, "%s: expected index < count <= %d, got index %" PRIu64 ", count %" PRIu64,
                    s->path, SHARD_MAX_COUNT, i->index, i->count);
    if (i->vocab_size == 0 || i->vocab_size > MAX_VOCAB)
        return fail(err, "%s: vocab_size %" PRIu64 ": expected 1 to 2^31", s->path, i->vocab_size);
    if (i->documents > i->tokens)
        return fail(err, "%s: %" PRIu64 " documents cannot begin in %" PRIu64 " tokens", s->path,
                    i->documents, i->tokens);
    /* Every token stands for bytes, except the one that ends a document. The first document that
     * ends here may have begun in the previous shard. */
    const uint64_t ends = i->has_documents ? i->documents + 1 : 0;
    if (i->bytes + ends < i->tokens || i->bytes / BPE_MAX_TOKEN > i->tokens)
        return fail(err, "%s: %" PRIu64 " tokens cannot stand for %" PRIu64 " bytes of text",
                    s->path, i->tokens, i->bytes);
    return 0;
}

static int read_attributes(struct shard *s, struct error *err)
{
    const struct h5_node root = h5_root(s->file);
    uint64_t format;
    if (h5_read_u64(root, "format", &format, err))
        return -1;
    if (format != FORMAT)
        return fail(err, "%s: shard format %" PRIu64 "; this handgrad reads %d", s->path, format,
                    FORMAT);
    s->info.has_documents = h5_has_attribute(root, "documents");
    if (read_fields(s, 0, s->info.has_documents ? ALL_FIELDS : COMMON_FIELDS, err) ||
        h5_read_string(root, "sources", &s->sources, err))
        return -1;
    s->info.sources = s->sources;
    return check_info(s, err);
}

static int find_tokens(struct shard *s, struct error *err)
{
    const struct shard_info *i = &s->info;
    if (h5_find_dataset(h5_root(s->file), "tokens", token_type(i->vocab_size), MAX_TOKENS,
                        &s->tokens, err))
        return -1;
    const uint64_t length = s->tokens.entry->dims[0];
    return length == i->tokens ? 0
                               : fail(err, "%s: /tokens: %" PRIu64 " elements, expected %" PRIu64,
                                      s->path, length, i->tokens);
}

struct shard *shard_open(const char *path, size_t cache_bytes, struct error *err)
{
    struct shard *s = calloc(1, sizeof *s);
    if (!s || !(s->path = strdup(path)))
        fail(err, "%s: out of memory", path);
    else if ((s->file = h5_open(path, err)) && read_attributes(s, err) == 0 &&
             find_tokens(s, err) == 0 &&
             h5_cache_create(&s->cache, s->tokens, cache_bytes, err) == 0)
        return s;
    shard_close(s);
    return NULL;
}

void shard_close(struct shard *s)
{
    if (!s)
        return;
    h5_close(s->file);
    h5_cache_free(&s->cache);
    free(s->sources);
    free(s->path);
    free(s);
}

const struct shard_info *shard_get_info(const struct shard *s)
{
    return &s->info;
}

/* Widens 16-bit tokens in the first half of an array, from the end, so that none is overwritten
 * before it is read. */
static void widen(uint32_t *tokens, size_t n)
{
    for (size_t i = n; i-- > 0;) {
        uint16_t narrow;
        memcpy(&narrow, (const char *)tokens + i * sizeof narrow, sizeof narrow);
        tokens[i] = narrow;
    }
}

int shard_read(struct shard *s, uint64_t first, size_t n, uint32_t *tokens, struct error *err)
{
    if (first > s->info.tokens || n > s->info.tokens - first)
        return fail(err, "%s: tokens %" PRIu64 " to %" PRIu64 " are not all among its %" PRIu64,
                    s->path, first, first + n, s->info.tokens);
    if (h5_read_cached(s->tokens, &s->cache, first, n, tokens, err))
        return -1;
    if (h5_width(s->tokens) == 2)
        widen(tokens, n);
    for (size_t i = 0; i < n; i++)
        if (tokens[i] >= s->info.vocab_size)
            return fail(err, "%s: token %" PRIu64 " has id %u, but vocab_size is %" PRIu64, s->path,
                        first + i, tokens[i], s->info.vocab_size);
    return 0;
}

static int check_documents(const struct shard *s, const uint64_t *begins, struct error *err)
{
    char hex[DIGEST_HEX];
    struct digest d;
    const uint64_t n = s->info.documents;
    for (uint64_t i = 0; i < n; i++)
        if (begins[i] >= s->info.tokens || (i > 0 && begins[i] <= begins[i - 1]))
            return fail(err,
                        "%s: /documents: element %" PRIu64 " is %" PRIu64
                        ": expected ascending positions in the shard",
                        s->path, i, begins[i]);
    digest_init(&d);
    digest_update(&d, begins, n * sizeof *begins);
    digest_finish(&d, hex);
    return strcmp(hex, s->info.documents_sha256) == 0
               ? 0
               : fail(err, "%s: damaged: /documents does not match documents_sha256", s->path);
}

int shard_read_documents(struct shard *s, uint64_t **begins, struct error *err)
{
    *begins = NULL;
    if (s->info.documents == 0)
        return 0;
    *begins = h5_read_array(h5_root(s->file), "documents", TYPE_U64, s->info.documents, err);
    if (!*begins)
        return -1;
    if (check_documents(s, *begins, err) == 0)
        return 0;
    free(*begins);
    *begins = NULL;
    return -1;
}

int shard_verify(struct shard *s, struct error *err)
{
    uint32_t *tokens = malloc(CHUNK * sizeof *tokens);
    struct digest d;
    char hex[DIGEST_HEX];
    int status = tokens ? 0 : fail(err, "%s: out of memory", s->path);
    digest_init(&d);
    for (uint64_t first = 0; first < s->info.tokens && status == 0; first += CHUNK) {
        const size_t n = size_min(s->info.tokens - first, CHUNK);
        status = shard_read(s, first, n, tokens, err);
        if (status == 0)
            digest_update(&d, tokens, pack(tokens, n, s->tokens.entry->type));
    }
    digest_finish(&d, hex);
    if (status == 0 && strcmp(hex, s->info.sha256) != 0)
        status = fail(err, "%s: damaged: /tokens does not match sha256", s->path);
    uint64_t *begins = NULL;
    if (status == 0)
        status = shard_read_documents(s, &begins, err);
    free(begins);
    free(tokens);
    return status;
}
