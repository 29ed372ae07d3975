/* vocabulary.h: shared by the readers of other programs' tokenizer files: tokens in any order, and
 * GPT-2's notation of bytes as printable characters. */
#pragma once

#include "data/tokenizer/bpe_files.h"
#include <cjson/cJSON.h>

struct vocabulary {
    struct vocabulary_token {
        const char *bytes; /* of the caller */
        uint32_t length;
        uint8_t kind; /* enum bpe_kind; BPE_UNUSED: not set yet */
    } * tokens;       /* (limit), by id */
    size_t n, limit;  /* ids seen are below n; allowed, below limit */
};

/* For about n tokens; ids may leave BPE_MAX_SPECIAL gaps. */
int vocabulary_create(struct vocabulary *v, size_t n, struct error *err);
void vocabulary_free(struct vocabulary *v);
/* Sets the token of an id, which must be unset. The bytes must outlive the vocabulary. */
int vocabulary_set(struct vocabulary *v, double id, const char *bytes, size_t length,
                   enum bpe_kind kind, struct error *err);
/* The same from GPT-2's characters, which are decoded in place. A name with other characters is a
 * special token. */
int vocabulary_set_printable(struct vocabulary *v, double id, char *name, struct error *err);
/* Appends the special tokens of the hints, and creates a model without merges. */
struct bpe *vocabulary_finish(struct vocabulary *v, const char *regex,
                              const struct bpe_hints *hints, struct error *err);

/* Finds the merge of two tokens in GPT-2's characters. */
int bpe_find_merge(const struct bpe *b, const char *left, size_t n_left, const char *right,
                   size_t n_right, struct merge *merge, struct error *err);
/* Encodes bytes in GPT-2's characters, terminated: text holds 2 n + 1. */
void bytes_to_printable(const char *bytes, size_t n, char *text);

/* The readers of the three kinds of files, given their contents, which they overwrite. Error
 * messages do not name the file, except those of bpe_read_merges. `name` determines known
 * pre-tokenizers. */
struct bpe *bpe_read_hugging_face(cJSON *root, const struct bpe_hints *hints, struct error *err);
struct bpe *bpe_read_tiktoken(const char *name, char *text, const struct bpe_hints *hints,
                              struct error *err);
struct bpe *bpe_read_merges(const char *vocab_path, cJSON *vocab, const char *merges_path,
                            const char *merges, const struct bpe_hints *hints, struct error *err);
