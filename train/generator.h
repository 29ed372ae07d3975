/* generator.h: generates text token by token: one text, or several from the same prompt. */
#pragma once

#include "base/error.h"
#include "data/tokenizer/tokenizer.h"
#include "model/decode.h"
#include "train/sampler.h"

struct generator {
    struct decoder decoder;
    struct sampler sampler; /* temperature, top_k, top_p and seed are set by the caller */
    size_t texts;
    uint32_t *ids;                /* (n, texts): the prompt, then the generated tokens */
    size_t n, capacity, n_prompt; /* tokens per text */
    size_t decoded;               /* of these, processed by the decoder */
    float *logits;
};

/* Creates a generator of `texts` texts that continue a prompt. NULL or "" stands for a newline, or
 * for token 0 if the tokenizer has no newline. -1 if the prompt contains unknown characters or
 * memory is short; then nothing is left allocated. The model must outlive the generator. */
int generator_create(struct generator *g, const struct gpt *model, const struct tokenizer *t,
                     const char *prompt, size_t texts, struct error *err);
void generator_destroy(struct generator *g);

/* Generates the next token of each text b, g->ids[(g->n - 1) * texts + b]. Each text has its own
 * random numbers, the first text those of a text generated alone. A prompt longer than
 * block_size is cut at its beginning. A text that grows beyond block_size continues from its second
 * half, since the cache cannot slide: positions are learned. -1 if the
 * logits are not finite or memory is short. */
int generator_next(struct generator *g, struct error *err);
