/* bpe.h: byte-level byte-pair encoding (Sennrich et al. 2016; Radford et al. 2019).
 *
 * Tokens are byte strings, and a merge joins two of them. A word begins as the tokens of its bytes.
 * While two neighbours have a merge, the one with the lowest rank is applied, the leftmost first. A
 * merge's rank is its position in the list, and unrelated to the id of its result.
 */
#pragma once

#include "base/error.h"
#include "data/tokenizer/bytemap.h"
#include "data/tokenizer/pairmap.h"
#include "data/tokenizer/pattern.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BPE_BYTES = 256,
    BPE_MAX_VOCAB = 1 << 24, /* as model.vocab_size */
    BPE_MAX_SPECIAL = 4096,  /* special and unused ids together */
    BPE_MAX_TOKEN = 1 << 16, /* bytes of a token */
    BPE_MAX_WORD = 1 << 28   /* bytes of a word */
};
#define BPE_NONE UINT32_MAX /* no id */

/* Normal tokens are text. Special ones, such as "<|endoftext|>", stand for no text; their bytes are
 * a name. Unused ids have no token. */
enum bpe_kind { BPE_NORMAL, BPE_SPECIAL, BPE_UNUSED };

struct merge {
    uint32_t left, right, result;
};

/* What defines a tokenizer, and what its file contains. */
struct bpe_model {
    size_t vocab_size, n_merges;
    uint32_t *ends; /* token id is bytes [ends[id - 1], ends[id]) */
    char *bytes;
    uint8_t *kinds; /* enum bpe_kind */
    struct merge *merges;
    char *regex;      /* of the pre-tokenizer */
    bool whole_words; /* a word that is a token is not merged (tiktoken; ignore_merges elsewhere) */
    size_t ends_capacity, bytes_capacity, kinds_capacity, merges_capacity;
};
/* Append the token of the next id, or the merge of the next rank. */
int bpe_add_token(struct bpe_model *m, const char *bytes, size_t length, enum bpe_kind kind,
                  struct error *err);
int bpe_add_merge(struct bpe_model *m, struct merge merge, struct error *err);
void bpe_model_free(struct bpe_model *m);

static inline const char *bpe_token(const struct bpe_model *m, uint32_t id, size_t *length)
{
    const uint32_t begin = id ? m->ends[id - 1] : 0;
    *length = m->ends[id] - begin;
    return m->bytes + begin;
}

/* A model with the tables for encoding; read-only for its users. */
struct bpe {
    struct bpe_model model;
    struct pattern *pattern;
    struct pairmap pairs;            /* two tokens: the rank of their merge */
    struct bytemap tokens, specials; /* ids of normal tokens by bytes, of special ones by name */
    uint32_t byte_ids[BPE_BYTES];
};

/* Takes over the model, also on error, and checks all of it: every byte has a token, no two normal
 * tokens have the same bytes, no pair has two merges, and a merge's result is left and right
 * concatenated. */
struct bpe *bpe_create(struct bpe_model *model, struct error *err);
void bpe_destroy(struct bpe *b);
/* Appends a merge, with the same checks. */
int bpe_merge(struct bpe *b, struct merge merge, struct error *err);

/* The normal token of these bytes; BPE_NONE if there is none. */
uint32_t bpe_find(const struct bpe *b, const char *bytes, size_t length);

/* The memory of one thread that encodes, including a cache of recent words. */
struct bpe_workspace;
struct bpe_workspace *bpe_workspace_create(struct error *err);
void bpe_workspace_destroy(struct bpe_workspace *s);

/* Encodes one word of n bytes into ids, which holds n. Returns the number of ids, SIZE_MAX if
 * memory is short. */
size_t bpe_encode_word(const struct bpe *b, struct bpe_workspace *s, const char *word, size_t n,
                       uint32_t *ids);

/* Encodes a text into ids, which holds `length`. special: names of special tokens in the text, the
 * longest first, become those tokens. A run of invalid UTF-8 is a word (pretokenizer.h). */
int bpe_encode(const struct bpe *b, const char *text, size_t length, bool special, uint32_t *ids,
               size_t *n, struct error *err);
