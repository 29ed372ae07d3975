/* shard_format.h: the format of shards (shard.h), shared by the writer and the reader.
 *
 * A chunk has 16,384 tokens. As uint16 that is 32 KiB, the window of deflate, so larger chunks would
 * hardly compress better. A random window of a few hundred tokens must unpack one or two chunks, at
 * 0.1 ms each.
 */
#ifndef SHARD_FORMAT_H
#define SHARD_FORMAT_H

#include "data/hdf5/h5_index.h"
#include "data/shard.h"

enum { SHARD_FORMAT = 1, SHARD_CHUNK = 16384 };

/* Attributes that are fields of struct shard_info: uint64_t, or strings. */
struct shard_field {
    const char *name;
    size_t offset, size;
};
#define SHARD_FIELD(field)                                                                         \
    {                                                                                              \
#field, offsetof(struct shard_info, field), sizeof((struct shard_info *)0)->field          \
    }
static const struct shard_field SHARD_FIELDS[] = {SHARD_FIELD(split),
                                                  SHARD_FIELD(index),
                                                  SHARD_FIELD(count),
                                                  SHARD_FIELD(tokenizer_kind),
                                                  SHARD_FIELD(tokenizer_fingerprint),
                                                  SHARD_FIELD(vocab_size),
                                                  SHARD_FIELD(corpus),
                                                  SHARD_FIELD(tokens),
                                                  SHARD_FIELD(sha256),
                                                  SHARD_FIELD(bytes),
                                                  SHARD_FIELD(documents),
                                                  SHARD_FIELD(documents_sha256)};
/* The first fields are known before the tokens; the last two exist only with documents. */
enum { SHARD_KNOWN_FIELDS = 8, SHARD_COMMON_FIELDS = 10, SHARD_ALL_FIELDS = 12 };

/* The type of /tokens. */
static inline enum h5_type shard_token_type(uint64_t vocab_size)
{
    return vocab_size <= 65536 ? TYPE_U16 : TYPE_U32;
}

/* Appends tokens as they are stored to a digest. `stored` holds `width` bytes per token. */
static inline void shard_digest_tokens(struct digest *d, const uint32_t *tokens, size_t n,
                                       size_t width, uint8_t *stored)
{
    for (size_t i = 0; i < n; i++)
        for (size_t b = 0; b < width; b++)
            stored[i * width + b] = (uint8_t)(tokens[i] >> 8 * b);
    digest_update(d, stored, n * width);
}

/* SHA-256 of /documents as stored. */
static inline void shard_digest_documents(const uint64_t *begins, uint64_t n, char hex[DIGEST_HEX])
{
    struct digest d;
    digest_init(&d);
    for (uint64_t i = 0; i < n; i++) {
        digest_update_u32(&d, (uint32_t)begins[i]);
        digest_update_u32(&d, (uint32_t)(begins[i] >> 32));
    }
    digest_finish(&d, hex);
}

#endif
