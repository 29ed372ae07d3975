/* split.h: a split ("train", "val") of a data directory: its shards as one stream of tokens. */
#pragma once

#include "base/digest.h"
#include "base/error.h"
#include "data/documents.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct split {
    char *dir, *name;
    uint64_t tokens, bytes, vocab_size; /* bytes of text; the tokenizer's vocabulary */
    uint64_t n_documents;               /* 0 if the text was not divided into documents */
    /* SHA-256 over the shards' digests of tokens and documents */
    char fingerprint[DIGEST_HEX], tokenizer_fingerprint[DIGEST_HEX];
    /* private */
    struct shard **shards;
    uint64_t *first; /* (n_shards + 1): position of each shard's first token, and `tokens` */
    size_t n_shards;
    struct documents documents; /* ended: known when opened; the rest by split_documents */
};

/* Whether the directory contains any shard of this split. */
bool split_exists(const char *dir, const char *name);

/* Opens all shards, and checks that they belong together and to DIR/tokenizer.h5. */
struct split *split_open(const char *dir, const char *name, struct error *err);
void split_close(struct split *s);

/* Reads tokens [first, first + n), which must exist. Not thread-safe. */
int split_read(struct split *s, uint64_t first, size_t n, uint32_t *tokens, struct error *err);
/* The same for first < s->tokens, continuing at token 0 after the last. */
int split_read_wrapped(struct split *s, uint64_t first, size_t n, uint32_t *tokens,
                       struct error *err);

/* Where documents begin; read at the first call, valid until split_close. NULL if that fails or the
 * text was not divided into documents. */
const struct documents *split_documents(struct split *s, struct error *err);
