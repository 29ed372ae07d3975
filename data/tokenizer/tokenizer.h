/* tokenizer.h: text to token ids and back. Three kinds: "byte" (the 256 bytes), "char" (the code
 * points of a text, sorted) and "bpe" (byte-level byte-pair encoding, bpe.h). The first two have
 * the special token "<|endoftext|>" if their text has documents. */
#pragma once

#include "base/digest.h"
#include "base/error.h"
#include "base/utf8.h"
#include "data/hdf5/h5_read.h"
#include "data/tokenizer/bpe.h"
#include <hdf5.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bpe_hints;

/* Read-only for its users. */
struct tokenizer {
    const char *kind; /* "byte", "char" or "bpe" */
    size_t vocab_size;
    /* SHA-256, in hexadecimal, of kind and vocabulary: equal if and only if two tokenizers always
     * give the same ids. */
    char fingerprint[DIGEST_HEX];
    struct bpe *bpe; /* of kind bpe, or NULL */
    /* private */
    size_t symbols; /* byte and char: normal tokens; "<|endoftext|>" follows if it exists */
    struct token {
        char bytes[UTF8_MAX];
        uint8_t length;
    } * tokens;            /* byte and char: of each id */
    uint32_t *code_points; /* char: of each id, ascending */
    uint32_t *ids;         /* (n_ids) char: 1 + the id of each code point, or 0 */
    size_t n_ids;
};

struct tokenizer *tokenizer_create_byte(struct error *err);
/* code_points are ascending. */
struct tokenizer *tokenizer_create_char(const uint32_t *code_points, size_t n, struct error *err);
/* Takes over bpe, also on error. If it is NULL, returns NULL and leaves err alone. */
struct tokenizer *tokenizer_create_bpe(struct bpe *bpe, struct error *err);
/* byte and char: appends the special token "<|endoftext|>". */
void tokenizer_add_end_of_text(struct tokenizer *t);
void tokenizer_destroy(struct tokenizer *t);

/* Encodes a complete text of `length` bytes. The caller frees *ids. byte and bpe accept any bytes;
 * for char, an unknown or invalid character is an error that gives its byte offset. special: names
 * of special tokens become those tokens, otherwise they are ordinary text. */
int tokenizer_encode(const struct tokenizer *t, const char *text, size_t length, bool special,
                     uint32_t **ids, size_t *n, struct error *err);
/* For byte and char: encodes a piece of a stream, which contains only complete characters, into
 * `ids`, which has space for `length`. `offset` is the piece's position for error messages. For bpe
 * see encoder.h. */
int tokenizer_encode_piece(const struct tokenizer *t, const char *text, size_t length,
                           uint64_t offset, uint32_t *ids, size_t *n, struct error *err);

/* The bytes of text that a token stands for, not terminated; id < vocab_size. For a special token,
 * none: the bytes of a text's tokens are the text, wherever special tokens were inserted. */
const char *tokenizer_bytes(const struct tokenizer *t, uint32_t id, size_t *length);
/* What to display for a token: its bytes, or a special token's name. */
const char *tokenizer_name(const struct tokenizer *t, uint32_t id, size_t *length);
/* Whether an id is special or unused. */
bool tokenizer_is_special(const struct tokenizer *t, uint32_t id);
#define END_OF_TEXT "<|endoftext|>"
/* The token after each document: "<|endoftext|>", else the first special one; false if there is
 * none. */
bool tokenizer_end_of_text(const struct tokenizer *t, uint32_t *id);

/* Write to and read from a group of an HDF5 file: the root of tokenizer.h5, or "/tokenizer" of a
 * checkpoint. The caller of tokenizer_write holds the HDF5 lock; `file` is for error messages. */
int tokenizer_write(const struct tokenizer *t, hid_t group, const char *file, struct error *err);
struct tokenizer *tokenizer_read(struct h5_node group, struct error *err);

/* tokenizer.h5 */
int tokenizer_save(const struct tokenizer *t, const char *path, struct error *err);
struct tokenizer *tokenizer_load(const char *path, struct error *err);
/* From tokenizer.h5, its directory, a checkpoint, or another program's file (bpe_files.h), for
 * which the hints are; they may be NULL. */
struct tokenizer *tokenizer_load_any(const char *path, const struct bpe_hints *hints,
                                     struct error *err);
