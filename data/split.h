/* split.h: a split ("train", "val") of a data folder: its shards, in order, as one stream of tokens. */
#ifndef SPLIT_H
#define SPLIT_H

#include "base/error.h"
#include "data/documents.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct split;

/* Whether the folder holds any shard of it. */
bool split_exists(const char *dir, const char *name);

/* Opens every shard, and checks them against each other and DIR/tokenizer.h5. */
struct split *split_open(const char *dir, const char *name, struct error *err);
void split_close(struct split *s);

/* Tokens [first, first + n); an error where they are not all there. One caller at a time. */
int split_read(struct split *s, uint64_t first, size_t n, uint32_t *tokens, struct error *err);
/* The same for first below the number of tokens, going on at the beginning behind the last. */
int split_read_wrapped(struct split *s, uint64_t first, size_t n, uint32_t *tokens,
                       struct error *err);

/* Where its documents begin, read once and kept until split_close; NULL where that fails, or its text has none. */
const struct documents *split_documents(struct split *s, struct error *err);

const char *split_dir(const struct split *s);
const char *split_name(const struct split *s);
uint64_t split_tokens(const struct split *s);
uint64_t split_bytes(const struct split *s);      /* of the text that they stand for */
uint64_t split_vocab_size(const struct split *s); /* the tokenizer's */
const char *split_fingerprint(
    const struct split
        *s); /* SHA-256 over the shards' digests of tokens and documents, in hexadecimal */
const char *split_tokenizer_fingerprint(const struct split *s);

#endif
