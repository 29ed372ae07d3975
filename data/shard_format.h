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
#include <string.h>

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

/* Narrows tokens to their stored width, in place. Returns their bytes. */
static inline size_t shard_pack(uint32_t *tokens, size_t n, enum h5_type type)
{
    for (size_t i = 0; type == TYPE_U16 && i < n; i++)
        memcpy((uint16_t *)tokens + i, &(uint16_t){(uint16_t)tokens[i]}, sizeof(uint16_t));
    return n * (type == TYPE_U16 ? sizeof(uint16_t) : sizeof(uint32_t));
}

#endif
