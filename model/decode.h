/* decode.h: generation with a cache of keys and values: each new token costs one pass over the weights. */
#ifndef DECODE_H
#define DECODE_H

#include "arena.h"
#include "gpt.h"

#define decoder         TYPE(decoder)
#define decoder_create  NAME(decoder_create)
#define decoder_destroy NAME(decoder_destroy)
#define decoder_forward NAME(decoder_forward)
#define decoder_rewind  NAME(decoder_rewind)

struct decoder {
    const struct gpt *model; /* only its parameters are used */
    struct arena arena;
    size_t max_rows;     /* tokens of one call */
    size_t length;       /* tokens in the cache */
    real *keys, *values; /* (n_layer, block_size, C) */
    real *x, *scores;    /* (max_rows, C), (max_rows * H, block_size) */
    real *ln_f, *mean, *rstd;
    struct block_activations block;
    struct block_scratch scratch;
};

/* A decoder for calls of at most max_rows tokens. -1 where memory is short. The model must outlive it. */
int decoder_create(struct decoder *s, const struct gpt *model, size_t max_rows);
void decoder_destroy(struct decoder *s);

/* Takes the next n tokens, 0 < n <= max_rows, length + n <= block_size, and writes the logits (V) after the last of them: those
 * of the full forward, in another order of summation. */
void decoder_forward(struct decoder *s, real *logits, const uint32_t *ids, size_t n);

/* Forgets all tokens but the first `length`. */
void decoder_rewind(struct decoder *s, size_t length);

#endif
