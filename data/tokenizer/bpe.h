/* bpe.h: byte-level byte-pair encoding (Sennrich et al. 2016; Radford et al. 2019): tokens are byte strings, a merge makes one of two.
 *
 * A word begins as its bytes' tokens. As long as two neighbours have a merge, those whose merge has the lowest rank, the leftmost
 * first, become its result. The rank of a merge is its place in the list; ids are another matter (GPT-2's happen to agree).
 */
#ifndef BPE_H
#define BPE_H

#include "base/error.h"
#include "data/tokenizer/bytemap.h"
#include "data/tokenizer/pattern.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BPE_BYTES = 256,
    BPE_MAX_VOCAB = 1 << 24, /* what model.vocab_size allows */
    BPE_MAX_SPECIAL = 4096,  /* special and unused ids together */
    BPE_MAX_TOKEN = 1 << 16, /* bytes of a token */
    BPE_MAX_WORD = 1 << 28   /* bytes of a word */
};

/* normal: its bytes are text. special: stands for no text, its bytes are a name ("<|endoftext|>"). unused: an id without a token. */
enum bpe_kind { BPE_NORMAL, BPE_SPECIAL, BPE_UNUSED };

struct merge {
    uint32_t left, right, result;
};

/* What a tokenizer is made of, and all that a file of one holds. */
struct bpe_parts {
    size_t vocab_size, n_merges;
    size_t room;    /* allocated for bytes */
    uint32_t *ends; /* token id is bytes [ends[id - 1], ends[id]) */
    char *bytes;
    uint8_t *kinds; /* enum bpe_kind */
    struct merge *merges;
    char *regex; /* the pre-tokenizer's */
    bool
        whole_words; /* a word that is a token is that token, whatever the merges (tiktoken; Hugging Face's ignore_merges) */
};
void bpe_parts_free(struct bpe_parts *p);

/* Makes the parts of tokens that come one by one, in the order of their ids. Returns -1 where memory is short, or a token too long. */
int bpe_parts_add(struct bpe_parts *p, const char *bytes, size_t length, enum bpe_kind kind,
                  struct error *err);
int bpe_parts_merge(struct bpe_parts *p, struct merge m, struct error *err);

struct bpe;

/* Takes the parts over (they are left empty, also after an error), having checked all of them: every byte has a token, no two normal
 * tokens have the same bytes, no pair two merges, and a merge's result is its left followed by its right. */
struct bpe *bpe_create(struct bpe_parts *parts, struct error *err);
void bpe_destroy(struct bpe *b);

const struct bpe_parts *bpe_get_parts(const struct bpe *b);
const struct pattern *bpe_pattern(const struct bpe *b);
const char *bpe_token(const struct bpe *b, uint32_t id, size_t *length);
/* The normal token of these bytes, or the special one of this name; BYTEMAP_NONE where there is none. */
uint32_t bpe_find(const struct bpe *b, const char *bytes, size_t length);
uint32_t bpe_find_special(const struct bpe *b, const char *name, size_t length);

/* What one thread needs to encode: room for a word, and the words it has met. */
struct bpe_scratch;
struct bpe_scratch *bpe_scratch_create(struct error *err);
void bpe_scratch_destroy(struct bpe_scratch *s);

/* The tokens of one word of n bytes into ids, which has room for n. Returns their number, or SIZE_MAX where memory is short. */
size_t bpe_encode_word(const struct bpe *b, struct bpe_scratch *s, const char *word, size_t n,
                       uint32_t *ids);

/* The tokens of a text into ids, which has room for `length` of them. special: the names of special tokens become those, wherever they
 * stand, the longest of several. Invalid UTF-8 is a word by itself (words.h). */
int bpe_encode(const struct bpe *b, const char *text, size_t length, bool special, uint32_t *ids,
               size_t *n, struct error *err);

#endif
