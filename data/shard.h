/* shard.h: tokens on the disk. A split ("train", "val") is one stream of tokens, cut into files SPLIT-NNNNN.h5.
 *
 *   /tokens        1-D, uint16 (uint32 above 65,536 symbols), in chunks, with shuffle, deflate and fletcher32
 *   /documents     1-D, uint64, in chunks as well: the tokens, counted from the shard's first, that documents begin with, ascending;
 *                  absent where the text has no documents, and where none begins in this shard
 *   attributes     of "/": the fields of struct shard_info, each under its name, and format
 *
 * Equal input gives equal bytes: nothing in the file tells the time.
 */
#ifndef SHARD_H
#define SHARD_H

#include "base/digest.h"
#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SHARD_TOKENS = 100000000,      /* of a file, unless told otherwise */
    SHARD_MAX_TOKENS = 2000000000, /* of a file that we write: its image has to fit in memory */
    SHARD_MAX_COUNT = 99999,       /* files of a split: five digits */
    SHARD_NAME = 16
};

struct shard_info {
    char split[SHARD_NAME];
    uint64_t index, count; /* this file is number index, from 0, of count files of the split */
    char tokenizer_kind[SHARD_NAME];
    char tokenizer_fingerprint[DIGEST_HEX];
    uint64_t vocab_size;
    char corpus
        [DIGEST_HEX]; /* the same in all files that one run wrote: tells leftovers of another run apart */
    uint64_t tokens;
    uint64_t bytes;          /* of the text that the tokens stand for */
    char sha256[DIGEST_HEX]; /* of the tokens, little-endian as stored */
    bool
        has_documents; /* the text is divided into documents: attributes documents and documents_sha256 are there */
    uint64_t documents;                /* that begin in this shard */
    char documents_sha256[DIGEST_HEX]; /* of /documents, as stored */
    const char *sources; /* the texts: JSON, [{"path": …, "bytes": …, "sha256": …}, …] */
};

/* DIR/SPLIT-NNNNN.h5, into at least PATH_MAX bytes; -1 where it is too long. */
int shard_path(char *path, const char *dir, const char *split, uint64_t index, struct error *err);
/* Whether a file's name is that of a shard of this split, and its index. */
bool shard_parse_name(const char *name, const char *split, uint64_t *index);

/* Writing: info->tokens tokens have to be appended; bytes, sha256 and documents are known at the end. The file appears whole, in
 * shard_writer_finish, which also frees the writer, as shard_writer_discard does. */
struct shard_writer;
struct shard_writer *shard_writer_create(const char *path, const struct shard_info *info,
                                         struct error *err);
int shard_writer_append(struct shard_writer *w, const uint32_t *ids, size_t n, struct error *err);
/* A document begins with the next token. Where info->has_documents. */
int shard_writer_document(struct shard_writer *w, struct error *err);
int shard_writer_finish(struct shard_writer *w, uint64_t bytes, struct error *err);
void shard_writer_discard(struct shard_writer *w);

/* Reading. A file is hostile until it has been checked: types, sizes and attributes when it is opened, checksums and the range
 * of ids when they are read. Up to cache_bytes of unpacked chunks are kept. */
struct shard;
struct shard *shard_open(const char *path, size_t cache_bytes, struct error *err);
void shard_close(struct shard *s);
const struct shard_info *shard_get_info(const struct shard *s); /* valid until shard_close */
/* Tokens [first, first + n); an error where they are not all there. */
int shard_read(struct shard *s, uint64_t first, size_t n, uint32_t *tokens, struct error *err);
/* Where its documents begin: info->documents numbers, that the caller frees. */
int shard_read_documents(struct shard *s, uint64_t **begins, struct error *err);
/* Reads all of it, and compares both digests. */
int shard_verify(struct shard *s, struct error *err);

#endif
