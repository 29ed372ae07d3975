/* shard.c: tokens on the disk.
 *
 * A chunk has 16,384 tokens: in uint16 that is 32 KiB, the whole window of deflate, so a larger one would hardly pack better,
 * while a random window of a few hundred tokens has to unpack all of the one or two chunks it touches (0.1 ms each).
 */
#include "shard.h"
#include "atomic.h"
#include "bpe.h"
#include "h5.h"
#include "h5_read.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT = 1, CHUNK = 16384 };
static const uint64_t MAX_TOKENS = (uint64_t)1 << 40; /* of a file that we read: no sum of offsets can overflow */
static const uint64_t MAX_VOCAB = (uint64_t)1 << 31;

/* Bytes of a stored token. */
static size_t token_width(uint64_t vocab_size)
{
    return vocab_size <= 65536 ? 2 : 4;
}

static hid_t stored_type(uint64_t vocab_size)
{
    return token_width(vocab_size) == 2 ? H5T_STD_U16LE : H5T_STD_U32LE;
}

int shard_path(char *path, const char *dir, const char *split, uint64_t index, struct error *err)
{
    if (index >= SHARD_MAX_COUNT || snprintf(path, PATH_MAX, "%s/%s-%05u.h5", dir, split, (unsigned)index) >= PATH_MAX)
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

/* --- writing --- */

struct shard_writer {
    char *path;
    struct h5_image image;
    hid_t dataset;
    uint64_t tokens, written, vocab_size;
    size_t width, pending; /* tokens in the buffer */
    struct digest digest;
    bool has_documents;
    uint64_t *documents, n_documents;
    uint8_t buffer[CHUNK * 4];
};

static int write_attributes(hid_t root, const struct shard_info *info, const char *file, struct error *err)
{
    if (h5_write_u64(root, "format", FORMAT, file, err) != 0 || h5_write_string(root, "split", info->split, file, err) != 0 ||
        h5_write_u64(root, "index", info->index, file, err) != 0 || h5_write_u64(root, "count", info->count, file, err) != 0 ||
        h5_write_string(root, "tokenizer_kind", info->tokenizer_kind, file, err) != 0 ||
        h5_write_string(root, "tokenizer_fingerprint", info->tokenizer_fingerprint, file, err) != 0 ||
        h5_write_u64(root, "vocab_size", info->vocab_size, file, err) != 0 ||
        h5_write_string(root, "corpus", info->corpus, file, err) != 0 ||
        h5_write_u64(root, "tokens", info->tokens, file, err) != 0 ||
        h5_write_string(root, "sources", info->sources ? info->sources : "[]", file, err) != 0)
        return -1;
    return 0;
}

struct shard_writer *shard_writer_create(const char *path, const struct shard_info *info, struct error *err)
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
    w->width = token_width(info->vocab_size);
    w->dataset = -1;
    digest_init(&w->digest);
    h5_lock();
    if (h5_image_create(&w->image, path, err) == 0 && write_attributes(w->image.file, info, path, err) == 0)
        w->dataset = h5_dataset_create(w->image.file, "tokens", stored_type(info->vocab_size), info->tokens,
                                       info->tokens < CHUNK ? info->tokens : CHUNK, path, err);
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
        return fail(err, "%s: more than the %llu tokens announced", w->path, (unsigned long long)w->tokens);
    for (size_t i = 0; i < n; i++) {
        if (ids[i] >= w->vocab_size)
            return fail(err, "%s: token id %u, but vocab_size is %llu", w->path, ids[i], (unsigned long long)w->vocab_size);
        for (size_t b = 0; b < w->width; b++)
            w->buffer[w->pending * w->width + b] = (uint8_t)(ids[i] >> 8 * b);
        if (++w->pending == CHUNK && flush_buffer(w, err) != 0)
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

static void digest_documents(const uint64_t *begins, uint64_t n, char hex[DIGEST_HEX])
{
    struct digest d;
    digest_init(&d);
    for (uint64_t i = 0; i < n; i++) {
        digest_update_u32(&d, (uint32_t)begins[i]);
        digest_update_u32(&d, (uint32_t)(begins[i] >> 32));
    }
    digest_finish(&d, hex);
}

static int write_documents(struct shard_writer *w, struct error *err)
{
    char sha256[DIGEST_HEX];
    const uint64_t n = w->n_documents;
    digest_documents(w->documents, n, sha256);
    if (h5_write_u64(w->image.file, "documents", n, w->path, err) != 0 ||
        h5_write_string(w->image.file, "documents_sha256", sha256, w->path, err) != 0)
        return -1;
    if (n == 0)
        return 0;
    const hid_t dataset = h5_dataset_create(w->image.file, "documents", H5T_STD_U64LE, n, n < CHUNK ? n : CHUNK, w->path, err);
    if (dataset < 0)
        return -1;
    const int status = H5Dwrite(dataset, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, w->documents) < 0
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
        h5_write_u64(w->image.file, "bytes", bytes, w->path, err) != 0 || (w->has_documents && write_documents(w, err) != 0))
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
        status = fail(err, "%s: only %llu of the %llu tokens announced", w->path, (unsigned long long)w->written,
                      (unsigned long long)w->tokens);
    if (status == 0) {
        h5_lock();
        status = finish_image(w, bytes, err);
        h5_unlock();
    }
    if (status == 0)
        status = atomic_write(w->path, NULL, 0, w->image.bytes, w->image.size, err);
    shard_writer_discard(w);
    return status;
}

/* --- reading --- */

/* Unpacked chunks: chunk k has its place in slot k mod n_slots, so that none is pushed out while there is room for all. */
struct cache {
    unsigned char *chunks; /* (n_slots, chunk), as stored */
    uint64_t *held;        /* the chunk in each slot, or UINT64_MAX */
    size_t n_slots;
};

struct shard {
    char *path;
    struct h5_reader *file;
    struct h5_node tokens;
    struct cache cache;
    struct shard_info info;
    char *sources;
};

static int read_text(struct h5_node root, const char *name, char *out, size_t size, const char *file, struct error *err)
{
    char *text;
    if (h5_read_string(root, name, &text, file, err) != 0)
        return -1;
    const int status = strlen(text) < size ? 0 : fail(err, "%s: attribute %s: \"%.40s…\" is too long", file, name, text);
    if (status == 0)
        strcpy(out, text);
    free(text);
    return status;
}

static int read_digest(struct h5_node root, const char *name, char hex[DIGEST_HEX], const char *file, struct error *err)
{
    if (read_text(root, name, hex, DIGEST_HEX, file, err) != 0)
        return -1;
    return digest_is_hex(hex) ? 0 : fail(err, "%s: attribute %s: \"%s\" is not a SHA-256 in hexadecimal", file, name, hex);
}

static int read_document_attributes(struct shard *s, struct error *err)
{
    const struct h5_node root = h5_root(s->file);
    struct shard_info *i = &s->info;
    i->has_documents = h5_has_attribute(root, "documents");
    if (!i->has_documents)
        return 0;
    if (h5_read_u64(root, "documents", &i->documents, s->path, err) != 0 ||
        read_digest(root, "documents_sha256", i->documents_sha256, s->path, err) != 0)
        return -1;
    return i->documents <= i->tokens ? 0
                                     : fail(err, "%s: %llu documents cannot begin in %llu tokens", s->path,
                                            (unsigned long long)i->documents, (unsigned long long)i->tokens);
}

static int read_attributes(struct shard *s, struct error *err)
{
    const struct h5_node root = h5_root(s->file);
    struct shard_info *i = &s->info;
    uint64_t format;
    if (h5_read_u64(root, "format", &format, s->path, err) != 0)
        return -1;
    if (format != FORMAT)
        return fail(err, "%s: shard format %llu; this handgrad reads %d", s->path, (unsigned long long)format, FORMAT);
    if (read_text(root, "split", i->split, sizeof i->split, s->path, err) != 0 ||
        h5_read_u64(root, "index", &i->index, s->path, err) != 0 || h5_read_u64(root, "count", &i->count, s->path, err) != 0 ||
        read_text(root, "tokenizer_kind", i->tokenizer_kind, sizeof i->tokenizer_kind, s->path, err) != 0 ||
        read_digest(root, "tokenizer_fingerprint", i->tokenizer_fingerprint, s->path, err) != 0 ||
        h5_read_u64(root, "vocab_size", &i->vocab_size, s->path, err) != 0 ||
        read_digest(root, "corpus", i->corpus, s->path, err) != 0 || h5_read_u64(root, "tokens", &i->tokens, s->path, err) != 0 ||
        h5_read_u64(root, "bytes", &i->bytes, s->path, err) != 0 || read_digest(root, "sha256", i->sha256, s->path, err) != 0 ||
        h5_read_string(root, "sources", &s->sources, s->path, err) != 0 || read_document_attributes(s, err) != 0)
        return -1;
    i->sources = s->sources;
    if (i->index >= i->count || i->count > SHARD_MAX_COUNT)
        return fail(err, "%s: it says it is shard %llu of %llu", s->path, (unsigned long long)i->index,
                    (unsigned long long)i->count);
    if (i->vocab_size == 0 || i->vocab_size > MAX_VOCAB)
        return fail(err, "%s: vocab_size %llu: expected 1 to 2^31", s->path, (unsigned long long)i->vocab_size);
    /* A token has bytes, but for the one behind each document; and a document that ends here may have begun in the shard before. */
    const uint64_t ends = i->has_documents ? i->documents + 1 : 0;
    if (i->bytes + ends < i->tokens || i->bytes / BPE_MAX_TOKEN > i->tokens)
        return fail(err, "%s: %llu tokens cannot stand for %llu bytes of text", s->path, (unsigned long long)i->tokens,
                    (unsigned long long)i->bytes);
    return 0;
}

static int find_tokens(struct shard *s, struct error *err)
{
    const enum h5_type type = token_width(s->info.vocab_size) == 2 ? TYPE_U16 : TYPE_U32;
    if (h5_find_dataset(h5_root(s->file), "tokens", type, MAX_TOKENS, &s->tokens, s->path, err) != 0)
        return -1;
    const uint64_t length = s->tokens.is->dims[0];
    if (length != s->info.tokens)
        return fail(err, "%s: /tokens has %llu elements, but the attribute tokens says %llu", s->path, (unsigned long long)length,
                    (unsigned long long)s->info.tokens);
    return 0;
}

/* At least one slot; none for a contiguous dataset, which is read as it lies. */
static int make_cache(struct shard *s, size_t cache_bytes, struct error *err)
{
    const struct h5_entry *d = s->tokens.is;
    if (d->layout != LAYOUT_CHUNKED)
        return 0;
    const size_t bytes = d->chunk * h5_width(s->tokens), fit = cache_bytes / bytes;
    const size_t n = fit < 1 ? 1 : fit < d->size ? fit : d->size;
    s->cache = (struct cache){malloc(n * bytes), malloc(n * sizeof *s->cache.held), n};
    if (!s->cache.chunks || !s->cache.held)
        return fail(err, "%s: out of memory for %zu chunks of %zu bytes", s->path, n, bytes);
    memset(s->cache.held, 0xFF, n * sizeof *s->cache.held);
    return 0;
}

struct shard *shard_open(const char *path, size_t cache_bytes, struct error *err)
{
    struct shard *s = calloc(1, sizeof *s);
    if (!s || !(s->path = strdup(path))) {
        fail(err, "%s: out of memory", path);
        free(s);
        return NULL;
    }
    s->file = h5_open(path, err);
    if (!s->file || read_attributes(s, err) != 0 || find_tokens(s, err) != 0 || make_cache(s, cache_bytes, err) != 0) {
        shard_close(s);
        return NULL;
    }
    return s;
}

void shard_close(struct shard *s)
{
    if (!s)
        return;
    h5_close(s->file);
    free(s->cache.chunks);
    free(s->cache.held);
    free(s->sources);
    free(s->path);
    free(s);
}

const struct shard_info *shard_get_info(const struct shard *s)
{
    return &s->info;
}

/* The tokens of chunk k, unpacked. */
static const unsigned char *get_chunk(struct shard *s, uint64_t k, struct error *err)
{
    struct cache *c = &s->cache;
    const size_t slot = (size_t)(k % c->n_slots);
    unsigned char *chunk = c->chunks + slot * s->tokens.is->chunk * h5_width(s->tokens);
    if (c->held[slot] == k)
        return chunk;
    c->held[slot] = UINT64_MAX;
    if (h5_read_chunk(s->tokens, k, chunk, s->path, err) != 0)
        return NULL;
    c->held[slot] = k;
    return chunk;
}

/* Tokens [first, first + n) as they are stored, in the machine's byte order. */
static int read_stored(struct shard *s, uint64_t first, size_t n, void *tokens, struct error *err)
{
    const size_t width = h5_width(s->tokens);
    if (first > s->info.tokens || n > s->info.tokens - first)
        return fail(err, "%s: tokens %llu to %llu are not all among its %llu", s->path, (unsigned long long)first,
                    (unsigned long long)first + n, (unsigned long long)s->info.tokens);
    if (!s->cache.n_slots)
        return h5_read(s->tokens, first, n, tokens, s->path, err);
    const uint64_t chunk = s->tokens.is->chunk;
    for (unsigned char *to = tokens; n > 0;) {
        const size_t skip = (size_t)(first % chunk), m = chunk - skip < n ? (size_t)chunk - skip : n;
        const unsigned char *from = get_chunk(s, first / chunk, err);
        if (!from)
            return -1;
        memcpy(to, from + skip * width, m * width);
        to += m * width, first += m, n -= m;
    }
    return 0;
}

/* Widens 16-bit tokens that fill the first half of an array, from the end so that none is overwritten before it is read. */
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
    if (read_stored(s, first, n, tokens, err) != 0)
        return -1;
    if (h5_width(s->tokens) == 2)
        widen(tokens, n);
    for (size_t i = 0; i < n; i++)
        if (tokens[i] >= s->info.vocab_size)
            return fail(err, "%s: token %llu has id %u, but vocab_size is %llu", s->path, (unsigned long long)first + i,
                        tokens[i], (unsigned long long)s->info.vocab_size);
    return 0;
}

static int check_documents(const struct shard *s, const uint64_t *begins, struct error *err)
{
    char hex[DIGEST_HEX];
    const uint64_t n = s->info.documents;
    for (uint64_t i = 0; i < n; i++)
        if (begins[i] >= s->info.tokens || (i > 0 && begins[i] <= begins[i - 1]))
            return fail(err, "%s: /documents: element %llu is %llu: they must ascend, and be tokens of the shard", s->path,
                        (unsigned long long)i, (unsigned long long)begins[i]);
    digest_documents(begins, n, hex);
    return strcmp(hex, s->info.documents_sha256) == 0
               ? 0
               : fail(err, "%s: the SHA-256 of its documents is not the one it names: damaged", s->path);
}

int shard_read_documents(struct shard *s, uint64_t **begins, struct error *err)
{
    struct h5_node dataset;
    *begins = NULL;
    if (s->info.documents == 0)
        return 0;
    if (h5_find_dataset(h5_root(s->file), "documents", TYPE_U64, s->info.tokens, &dataset, s->path, err) != 0)
        return -1;
    const uint64_t length = dataset.is->dims[0];
    if (length != s->info.documents)
        return fail(err, "%s: /documents has %llu elements, but the attribute documents says %llu", s->path,
                    (unsigned long long)length, (unsigned long long)s->info.documents);
    *begins = malloc(length * sizeof **begins);
    if (!*begins)
        return fail(err, "%s: out of memory for %llu documents", s->path, (unsigned long long)length);
    int status = h5_read(dataset, 0, length, *begins, s->path, err);
    if (status == 0)
        status = check_documents(s, *begins, err);

    if (status != 0) {
        free(*begins);
        *begins = NULL;
    }
    return status;
}

/* As the writer digested them: little-endian, in their width. */
static void digest_tokens(struct digest *d, const uint32_t *tokens, size_t n, size_t width, uint8_t *stored)
{
    for (size_t i = 0; i < n; i++)
        for (size_t b = 0; b < width; b++)
            stored[i * width + b] = (uint8_t)(tokens[i] >> 8 * b);
    digest_update(d, stored, n * width);
}

int shard_verify(struct shard *s, struct error *err)
{
    uint32_t *tokens = malloc(CHUNK * sizeof *tokens);
    uint8_t *stored = malloc(CHUNK * sizeof *tokens);
    struct digest d;
    char hex[DIGEST_HEX];
    int status = tokens && stored ? 0 : fail(err, "%s: out of memory", s->path);
    digest_init(&d);
    for (uint64_t first = 0; first < s->info.tokens && status == 0; first += CHUNK) {
        const uint64_t left = s->info.tokens - first;
        const size_t n = left < CHUNK ? (size_t)left : CHUNK;
        status = shard_read(s, first, n, tokens, err);
        if (status == 0)
            digest_tokens(&d, tokens, n, h5_width(s->tokens), stored);
    }
    digest_finish(&d, hex);
    if (status == 0 && strcmp(hex, s->info.sha256) != 0)
        status = fail(err, "%s: the SHA-256 of its tokens is not the one it names: damaged", s->path);
    uint64_t *begins = NULL;
    if (status == 0)
        status = shard_read_documents(s, &begins, err);
    free(begins);
    free(tokens);
    free(stored);
    return status;
}
