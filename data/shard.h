/* shard.h: tokens on disk. A split ("train", "val") is a stream of tokens in files SPLIT-NNNNN.h5:
 *
 *   /tokens     1-D, uint16 (uint32 above 65,536 symbols), chunked, with shuffle, deflate and
 *               fletcher32
 *   /documents  1-D, uint64, stored likewise: positions in this shard at which documents begin,
 *               ascending; absent if the text has no documents or none begins in this shard
 *   attributes of "/": the fields of struct shard_info under their names, and "format"
 *
 * Equal input gives equal bytes: no time stamps are stored.
 */
#pragma once

#include "base/digest.h"
#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SHARD_TOKENS = 100000000,      /* of a file by default */
    SHARD_MAX_TOKENS = 2000000000, /* of a file that we write: its image must fit in memory */
    SHARD_MAX_COUNT = 99999,       /* files of a split: five digits */
    SHARD_NAME = 16
};

struct shard_info {
    char split[SHARD_NAME];
    uint64_t index, count; /* this is file `index`, from 0, of `count` files of the split */
    char tokenizer_kind[SHARD_NAME], tokenizer_fingerprint[DIGEST_HEX];
    uint64_t vocab_size;
    char corpus[DIGEST_HEX];           /* identifies the run that wrote the files of a directory */
    uint64_t tokens, bytes;            /* bytes of the text that the tokens stand for */
    char sha256[DIGEST_HEX];           /* of the tokens as stored, little-endian */
    bool has_documents;                /* the next two attributes are present */
    uint64_t documents;                /* that begin in this shard */
    char documents_sha256[DIGEST_HEX]; /* of /documents as stored */
    const char *sources; /* the texts: JSON, [{"path": ..., "bytes": ..., "sha256": ...}, ...] */
};

/* DIR/SPLIT-NNNNN.h5, at least PATH_MAX bytes. */
int shard_path(char *path, const char *dir, const char *split, uint64_t index, struct error *err);
/* Whether `name` is the file name of a shard of this split, and its index. */
bool shard_parse_name(const char *name, const char *split, uint64_t *index);

/* Provides tokens [first, first + n) of a shard, and adds the bytes of text that they stand for to
 * *bytes. With has_documents, ids that begin documents have DOCUMENT_BEGIN added. */
typedef int shard_source(void *context, uint64_t first, size_t n, uint32_t *ids, uint64_t *bytes,
                         struct error *err);
/* Writes a shard atomically. Of info, bytes, sha256 and documents are determined. */
int shard_write(const char *path, const struct shard_info *info, shard_source *source,
                void *context, struct error *err);

/* Reading. Files are untrusted: types, sizes and attributes are checked when a file is opened,
 * checksums and ids when they are read. Up to cache_bytes of unpacked chunks are kept. */
struct shard;
struct shard *shard_open(const char *path, size_t cache_bytes, struct error *err);
void shard_close(struct shard *s);
const struct shard_info *shard_get_info(const struct shard *s); /* valid until shard_close */
/* Reads tokens [first, first + n), which must exist. */
int shard_read(struct shard *s, uint64_t first, size_t n, uint32_t *tokens, struct error *err);
/* Reads where documents begin: info->documents positions, which the caller frees. */
int shard_read_documents(struct shard *s, uint64_t **begins, struct error *err);
/* Reads everything and compares both digests. */
int shard_verify(struct shard *s, struct error *err);
