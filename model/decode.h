/* decode.h: generation with a cache of keys and values: each new token costs one pass over the weights, which several texts can share. */
#ifndef DECODE_H
#define DECODE_H

#include "base/arena.h"
#include "model/gpt.h"

#define decoder         TYPE(decoder)
#define decoder_create  NAME(decoder_create)
#define decoder_destroy NAME(decoder_destroy)
#define decoder_forward NAME(decoder_forward)
#define decoder_prompt  NAME(decoder_prompt)
#define decoder_rewind  NAME(decoder_rewind)

struct decoder {
    const struct gpt *model; /* only its parameters are used */
    struct arena arena;
    size_t texts;             /* that grow side by side, all of the same length */
    size_t max_rows;          /* tokens of one call, all texts together */
    size_t length;            /* tokens of each text in the cache */
    real *keys, *values;      /* (n_layer, texts, block_size, C) */
    real *x, *scores;         /* (max_rows, C), (max_rows * H, block_size) */
    real *ln_f, *mean, *rstd; /* (texts, C), (texts), (texts) */
    struct block_activations block;
    struct block_scratch scratch;
};

/* A decoder of so many texts for calls of at most max_rows >= texts tokens. -1 where memory is short. The model must outlive it. */
int decoder_create(struct decoder *s, const struct gpt *model, size_t texts, size_t max_rows);
void decoder_destroy(struct decoder *s);

/* Takes the next n tokens of each text, ids (n,texts), 0 < n texts <= max_rows, length + n <= block_size, and writes the logits
 * (texts,V) after the last of them: those of the full forward, in another order of summation. */
void decoder_forward(struct decoder *s, real *logits, const uint32_t *ids, size_t n);

/* The same where all texts go on with the same n <= max_rows tokens after the same beginning, ids (n): computed once. */
void decoder_prompt(struct decoder *s, real *logits, const uint32_t *ids, size_t n);

/* Forgets all tokens but the first `length`. */
void decoder_rewind(struct decoder *s, size_t length);

#endif
