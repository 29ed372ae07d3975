/* shard.c: shards as they are read: a file is hostile until it has been checked. See shard.h; shard_write.c writes them. */
#include "data/shard.h"
#include "data/hdf5/h5_read.h"
#include "data/shard_format.h"
#include "data/tokenizer/bpe.h"
#include <stdlib.h>
#include <string.h>

static const uint64_t MAX_TOKENS =
    (uint64_t)1 << 40; /* of a file that we read: no sum of offsets can overflow */
static const uint64_t MAX_VOCAB = (uint64_t)1 << 31;

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

static int read_text(struct h5_node root, const char *name, char *out, size_t size,
                     const char *file, struct error *err)
{
    char *text;
    if (h5_read_string(root, name, &text, file, err) != 0)
        return -1;
    const int status = strlen(text) < size ? 0
                                           : fail(err, "%s: attribute %s: \"%.40s…\" is too long",
                                                  file, name, text);
    if (status == 0)
        strcpy(out, text);
    free(text);
    return status;
}

static int read_digest(struct h5_node root, const char *name, char hex[DIGEST_HEX],
                       const char *file, struct error *err)
{
    if (read_text(root, name, hex, DIGEST_HEX, file, err) != 0)
        return -1;
    return digest_is_hex(hex)
               ? 0
               : fail(err, "%s: attribute %s: \"%s\" is not a SHA-256 in hexadecimal", file, name,
                      hex);
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
    return i->documents <= i->tokens
               ? 0
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
    if (format != SHARD_FORMAT)
        return fail(err, "%s: shard format %llu; this handgrad reads %d", s->path,
                    (unsigned long long)format, SHARD_FORMAT);
    if (read_text(root, "split", i->split, sizeof i->split, s->path, err) != 0 ||
        h5_read_u64(root, "index", &i->index, s->path, err) != 0 ||
        h5_read_u64(root, "count", &i->count, s->path, err) != 0 ||
        read_text(root, "tokenizer_kind", i->tokenizer_kind, sizeof i->tokenizer_kind, s->path,
                  err) != 0 ||
        read_digest(root, "tokenizer_fingerprint", i->tokenizer_fingerprint, s->path, err) != 0 ||
        h5_read_u64(root, "vocab_size", &i->vocab_size, s->path, err) != 0 ||
        read_digest(root, "corpus", i->corpus, s->path, err) != 0 ||
        h5_read_u64(root, "tokens", &i->tokens, s->path, err) != 0 ||
        h5_read_u64(root, "bytes", &i->bytes, s->path, err) != 0 ||
        read_digest(root, "sha256", i->sha256, s->path, err) != 0 ||
        h5_read_string(root, "sources", &s->sources, s->path, err) != 0 ||
        read_document_attributes(s, err) != 0)
        return -1;
    i->sources = s->sources;
    if (i->index >= i->count || i->count > SHARD_MAX_COUNT)
        return fail(err, "%s: it says it is shard %llu of %llu", s->path,
                    (unsigned long long)i->index, (unsigned long long)i->count);
    if (i->vocab_size == 0 || i->vocab_size > MAX_VOCAB)
        return fail(err, "%s: vocab_size %llu: expected 1 to 2^31", s->path,
                    (unsigned long long)i->vocab_size);
    /* A token has bytes, but for the one behind each document; and a document that ends here may have begun in the shard before. */
    const uint64_t ends = i->has_documents ? i->documents + 1 : 0;
    if (i->bytes + ends < i->tokens || i->bytes / BPE_MAX_TOKEN > i->tokens)
        return fail(err, "%s: %llu tokens cannot stand for %llu bytes of text", s->path,
                    (unsigned long long)i->tokens, (unsigned long long)i->bytes);
    return 0;
}

static int find_tokens(struct shard *s, struct error *err)
{
    const enum h5_type type = shard_token_width(s->info.vocab_size) == 2 ? TYPE_U16 : TYPE_U32;
    if (h5_find_dataset(h5_root(s->file), "tokens", type, MAX_TOKENS, &s->tokens, s->path, err) !=
        0)
        return -1;
    const uint64_t length = s->tokens.is->dims[0];
    if (length != s->info.tokens)
        return fail(err, "%s: /tokens has %llu elements, but the attribute tokens says %llu",
                    s->path, (unsigned long long)length, (unsigned long long)s->info.tokens);
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
    if (!s->file || read_attributes(s, err) != 0 || find_tokens(s, err) != 0 ||
        make_cache(s, cache_bytes, err) != 0) {
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
        return fail(err, "%s: tokens %llu to %llu are not all among its %llu", s->path,
                    (unsigned long long)first, (unsigned long long)first + n,
                    (unsigned long long)s->info.tokens);
    if (!s->cache.n_slots)
        return h5_read(s->tokens, first, n, tokens, s->path, err);
    const uint64_t chunk = s->tokens.is->chunk;
    for (unsigned char *to = tokens; n > 0;) {
        const size_t skip = (size_t)(first % chunk),
                     m = chunk - skip < n ? (size_t)chunk - skip : n;
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
            return fail(err, "%s: token %llu has id %u, but vocab_size is %llu", s->path,
                        (unsigned long long)first + i, tokens[i],
                        (unsigned long long)s->info.vocab_size);
    return 0;
}

static int check_documents(const struct shard *s, const uint64_t *begins, struct error *err)
{
    char hex[DIGEST_HEX];
    const uint64_t n = s->info.documents;
    for (uint64_t i = 0; i < n; i++)
        if (begins[i] >= s->info.tokens || (i > 0 && begins[i] <= begins[i - 1]))
            return fail(err,
                        "%s: /documents: element %llu is %llu: they must ascend, and be tokens of "
                        "the shard",
                        s->path, (unsigned long long)i, (unsigned long long)begins[i]);
    shard_digest_documents(begins, n, hex);
    return strcmp(hex, s->info.documents_sha256) == 0
               ? 0
               : fail(err, "%s: the SHA-256 of its documents is not the one it names: damaged",
                      s->path);
}

int shard_read_documents(struct shard *s, uint64_t **begins, struct error *err)
{
    struct h5_node dataset;
    *begins = NULL;
    if (s->info.documents == 0)
        return 0;
    if (h5_find_dataset(h5_root(s->file), "documents", TYPE_U64, s->info.tokens, &dataset, s->path,
                        err) != 0)
        return -1;
    const uint64_t length = dataset.is->dims[0];
    if (length != s->info.documents)
        return fail(err, "%s: /documents has %llu elements, but the attribute documents says %llu",
                    s->path, (unsigned long long)length, (unsigned long long)s->info.documents);
    *begins = malloc(length * sizeof **begins);
    if (!*begins)
        return fail(err, "%s: out of memory for %llu documents", s->path,
                    (unsigned long long)length);
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
static void digest_tokens(struct digest *d, const uint32_t *tokens, size_t n, size_t width,
                          uint8_t *stored)
{
    for (size_t i = 0; i < n; i++)
        for (size_t b = 0; b < width; b++)
            stored[i * width + b] = (uint8_t)(tokens[i] >> 8 * b);
    digest_update(d, stored, n * width);
}

int shard_verify(struct shard *s, struct error *err)
{
    uint32_t *tokens = malloc(SHARD_CHUNK * sizeof *tokens);
    uint8_t *stored = malloc(SHARD_CHUNK * sizeof *tokens);
    struct digest d;
    char hex[DIGEST_HEX];
    int status = tokens && stored ? 0 : fail(err, "%s: out of memory", s->path);
    digest_init(&d);
    for (uint64_t first = 0; first < s->info.tokens && status == 0; first += SHARD_CHUNK) {
        const uint64_t left = s->info.tokens - first;
        const size_t n = left < SHARD_CHUNK ? (size_t)left : SHARD_CHUNK;
        status = shard_read(s, first, n, tokens, err);
        if (status == 0)
            digest_tokens(&d, tokens, n, h5_width(s->tokens), stored);
    }
    digest_finish(&d, hex);
    if (status == 0 && strcmp(hex, s->info.sha256) != 0)
        status =
            fail(err, "%s: the SHA-256 of its tokens is not the one it names: damaged", s->path);
    uint64_t *begins = NULL;
    if (status == 0)
        status = shard_read_documents(s, &begins, err);
    free(begins);
    free(tokens);
    free(stored);
    return status;
}
