/* decode.h: generation with a cache of keys and values. Each new token costs one pass over the
 * weights, which several sequences can share. */
#pragma once

#include "base/arena.h"
#include "model/gpt.h"

#define decoder         TYPE(decoder)
#define decoder_create  NAME(decoder_create)
#define decoder_destroy NAME(decoder_destroy)
#define decoder_forward NAME(decoder_forward)
#define decoder_prompt  NAME(decoder_prompt)
#define decoder_rewind  NAME(decoder_rewind)

#define NO_SEPARATOR UINT32_MAX

struct decoder {
    const struct gpt *model; /* only its parameters are used */
    struct arena arena;
    size_t sequences;         /* generated together, all of the same length */
    size_t max_rows;          /* tokens of one call, over all sequences */
    size_t length;            /* tokens of each sequence in the cache */
    uint32_t separator;       /* a token that begins a new context; NO_SEPARATOR: none does */
    size_t *start, *starts;   /* (sequences), (max_rows): where contexts begin in the cache */
    real *keys, *values;      /* (n_layer, sequences, block_size, C) */
    real *x, *scores;         /* (max_rows, C), (max_rows * H, block_size) */
    real *ln_f, *mean, *rstd; /* (sequences, C), (sequences), (sequences) */
    struct block_activations block;
    struct block_scratch scratch;
};

/* Creates a decoder for calls of at most max_rows >= sequences tokens. Returns -1 if memory is
 * short. The model must outlive the decoder. */
int decoder_create(struct decoder *s, const struct gpt *model, size_t sequences, size_t max_rows);
void decoder_destroy(struct decoder *s);

/* Appends n tokens to each sequence, ids (n, sequences), and writes the logits (sequences, V) after
 * the last of them: those of the full forward, with another order of summation. A token sees the
 * tokens from the last separator on, itself included, if the caller has set one. Requires
 * 0 < n * sequences <= max_rows and length + n <= block_size. */
void decoder_forward(struct decoder *s, real *logits, const uint32_t *ids, size_t n);

/* The same for n <= max_rows tokens ids (n) that all sequences have in common, after a common
 * beginning. They are computed once. */
void decoder_prompt(struct decoder *s, real *logits, const uint32_t *ids, size_t n);

/* Removes all tokens but the first `length`; with a separator, length must be 0. */
void decoder_rewind(struct decoder *s, size_t length);
