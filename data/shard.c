/* shard.c: reading shards. See shard.h. */
#include "data/shard.h"
#include "base/minmax.h"
#include "data/hdf5/h5_read.h"
#include "data/shard_format.h"
#include "data/tokenizer/bpe.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

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

static int read_string(struct shard *s, const struct shard_field *f, char *out, struct error *err)
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

/* Reads SHARD_FIELDS[first ... end). */
static int read_fields(struct shard *s, size_t first, size_t end, struct error *err)
{
    int status = 0;
    for (size_t i = first; i < end && status == 0; i++) {
        const struct shard_field *f = &SHARD_FIELDS[i];
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
    if (format != SHARD_FORMAT)
        return fail(err, "%s: shard format %" PRIu64 "; this handgrad reads %d", s->path, format,
                    SHARD_FORMAT);
    s->info.has_documents = h5_has_attribute(root, "documents");
    if (read_fields(s, 0, s->info.has_documents ? SHARD_ALL_FIELDS : SHARD_COMMON_FIELDS, err) ||
        h5_read_string(root, "sources", &s->sources, err))
        return -1;
    s->info.sources = s->sources;
    return check_info(s, err);
}

static int find_tokens(struct shard *s, struct error *err)
{
    const struct shard_info *i = &s->info;
    if (h5_find_dataset(h5_root(s->file), "tokens", shard_token_type(i->vocab_size), MAX_TOKENS,
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
    uint32_t *tokens = malloc(SHARD_CHUNK * sizeof *tokens);
    struct digest d;
    char hex[DIGEST_HEX];
    int status = tokens ? 0 : fail(err, "%s: out of memory", s->path);
    digest_init(&d);
    for (uint64_t first = 0; first < s->info.tokens && status == 0; first += SHARD_CHUNK) {
        const size_t n = size_min(s->info.tokens - first, SHARD_CHUNK);
        status = shard_read(s, first, n, tokens, err);
        if (status == 0)
            digest_update(&d, tokens, shard_pack(tokens, n, s->tokens.entry->type));
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
