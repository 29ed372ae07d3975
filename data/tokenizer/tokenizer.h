/* tokenizer.h: text to token ids and back. Three kinds: "byte" (the 256 bytes), "char" (the code points of a text, sorted) and "bpe"
 * (byte-level byte-pair encoding, bpe.h). */
#ifndef TOKENIZER_H
#define TOKENIZER_H

#include "base/error.h"
#include "data/hdf5/h5_read.h"
#include "data/tokenizer/bpe.h"
#include <hdf5.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tokenizer;
struct bpe_hints;

/* NULL, with err filled in, where memory is short or the alphabet is empty. code_points are sorted and distinct. */
struct tokenizer *tokenizer_create_byte(struct error *err);
struct tokenizer *tokenizer_create_char(const uint32_t *code_points, size_t n, struct error *err);
/* Takes bpe over, also after an error; NULL is passed through, so that `tokenizer_create_bpe(bpe_train(…, err), err)` works. */
struct tokenizer *tokenizer_create_bpe(struct bpe *bpe, struct error *err);
void tokenizer_destroy(struct tokenizer *t);

const char *tokenizer_kind(const struct tokenizer *t);      /* "byte", "char", "bpe" */
const struct bpe *tokenizer_bpe(const struct tokenizer *t); /* NULL where it is of another kind */
size_t tokenizer_vocab_size(const struct tokenizer *t);
/* SHA-256, in hexadecimal, of the kind and the vocabulary: equal exactly where two tokenizers give the same ids. */
const char *tokenizer_fingerprint(const struct tokenizer *t);

/* Encodes length bytes of text whole (a code point may not be cut at the end). *ids is allocated, the caller frees it.
 * byte and bpe take any bytes; an unknown or invalid character of char is an error that names it and its byte offset in the text.
 * The name of a special token in the text is text like any other. */
int tokenizer_encode(const struct tokenizer *t, const char *text, size_t length, uint32_t **ids,
                     size_t *n, struct error *err);

/* The same, but names of special tokens become those. */
int tokenizer_encode_special(const struct tokenizer *t, const char *text, size_t length,
                             uint32_t **ids, size_t *n, struct error *err);

/* Of byte and char: the same into the caller's ids, which has room for `length` of them, as a stream needs it; `offset` is where the
 * piece begins in the text that error lines speak of. (A stream for bpe is encoder.h.) */
int tokenizer_encode_piece(const struct tokenizer *t, const char *text, size_t length,
                           uint64_t offset, uint32_t *ids, size_t *n, struct error *err);

/* The bytes of text that one token stands for, not terminated; id must be below the vocabulary's size. A special token stands for
 * none: so the bytes of a text's tokens are the text's, wherever tokens were put between its documents. */
const char *tokenizer_bytes(const struct tokenizer *t, uint32_t id, size_t *length);
/* What to show for a token: its bytes, or a special token's name. */
const char *tokenizer_name(const struct tokenizer *t, uint32_t id, size_t *length);
/* Whether it is a special token, or an id that no token has. */
bool tokenizer_is_special(const struct tokenizer *t, uint32_t id);
/* The token that stands behind each document: "<|endoftext|>", or the first special one; false where there is none. */
bool tokenizer_end_of_text(const struct tokenizer *t, uint32_t *id);

/* Into and out of a group of an open HDF5 file (tokenizer.h5's root, or "/tokenizer" in a checkpoint). The caller of
 * tokenizer_write holds the HDF5 lock. `file` is the name that error lines give. */
int tokenizer_write(const struct tokenizer *t, hid_t group, const char *file, struct error *err);
struct tokenizer *tokenizer_read(struct h5_node group, const char *file, struct error *err);

/* A file of its own, DIR/tokenizer.h5. */
int tokenizer_save(const struct tokenizer *t, const char *path, struct error *err);
struct tokenizer *tokenizer_load(const char *path, struct error *err);
/* Of any file that has one: tokenizer.h5 or the folder that holds it, a checkpoint, and the files of others (bpe_files.h, to which hints
 * are for; they may be NULL). */
struct tokenizer *tokenizer_load_any(const char *path, const struct bpe_hints *hints,
                                     struct error *err);

#endif
