/* shard_format.h: what the writer and the reader of shards share: see shard.h.
 *
 * A chunk has 16,384 tokens: in uint16 that is 32 KiB, the whole window of deflate, so a larger one would hardly pack better,
 * while a random window of a few hundred tokens has to unpack all of the one or two chunks it touches (0.1 ms each).
 */
#ifndef SHARD_FORMAT_H
#define SHARD_FORMAT_H

#include "base/digest.h"
#include <stddef.h>
#include <stdint.h>

enum { SHARD_FORMAT = 1, SHARD_CHUNK = 16384 };

/* Bytes of a stored token. */
static inline size_t shard_token_width(uint64_t vocab_size)
{
    return vocab_size <= 65536 ? 2 : 4;
}

/* SHA-256 of /documents as it is stored. */
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
