/* tokenizer.h: text to token ids and back. Two kinds: "byte" (the 256 bytes) and "char" (the code points of a text, sorted). */
#ifndef TOKENIZER_H
#define TOKENIZER_H

#include "error.h"
#include <hdf5.h>
#include <stddef.h>
#include <stdint.h>

struct tokenizer;

/* NULL, with err filled in, where memory is short or the alphabet is empty. code_points are sorted and distinct. */
struct tokenizer *tokenizer_create_byte(struct error *err);
struct tokenizer *tokenizer_create_char(const uint32_t *code_points, size_t n, struct error *err);
void tokenizer_destroy(struct tokenizer *t);

const char *tokenizer_kind(const struct tokenizer *t); /* "byte", "char" */
size_t tokenizer_vocab_size(const struct tokenizer *t);
/* SHA-256, in hexadecimal, of the kind and the vocabulary: equal exactly where two tokenizers give the same ids. */
const char *tokenizer_fingerprint(const struct tokenizer *t);

/* Encodes length bytes of text whole (a code point may not be cut at the end). *ids is allocated, the caller frees it.
 * An unknown or invalid character is an error that names it and its byte offset in the text. */
int tokenizer_encode(const struct tokenizer *t, const char *text, size_t length, uint32_t **ids, size_t *n, struct error *err);

/* The same into the caller's ids, which has room for `length` of them, as a stream needs it; `offset` is where the piece begins
 * in the text that error lines speak of. */
int tokenizer_encode_piece(const struct tokenizer *t, const char *text, size_t length, uint64_t offset, uint32_t *ids, size_t *n,
                           struct error *err);

/* The bytes of one token, not terminated; id must be below the vocabulary's size. */
const char *tokenizer_bytes(const struct tokenizer *t, uint32_t id, size_t *length);

/* Into and out of a group of an open HDF5 file (tokenizer.h5's root, or "/tokenizer" in a checkpoint). The caller holds the
 * HDF5 lock. `file` is the name that error lines give. */
int tokenizer_write(const struct tokenizer *t, hid_t group, const char *file, struct error *err);
struct tokenizer *tokenizer_read(hid_t group, const char *file, struct error *err);

/* A file of its own, DIR/tokenizer.h5. */
int tokenizer_save(const struct tokenizer *t, const char *path, struct error *err);
struct tokenizer *tokenizer_load(const char *path, struct error *err);

#endif
