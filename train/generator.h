/* generator.h: a model that writes: tokens so far, the next ones, one after the other, of one text or of several after one prompt. */
#ifndef GENERATOR_H
#define GENERATOR_H

#include "base/error.h"
#include "data/tokenizer/tokenizer.h"
#include "model/decode.h"
#include "train/sampler.h"

struct generator {
    struct decoder decoder;
    struct sampler sampler; /* its temperature, top_k, top_p and seed are the caller's to set */
    size_t texts;
    uint32_t *ids;            /* (n,texts): all tokens so far: the prompt's, then those written */
    size_t n, room, n_prompt; /* of each text */
    size_t seen;              /* of them, by the decoder */
    float *logits;
};

/* A generator of so many texts that go on from a prompt; NULL or "": from a new line, or from the first symbol where the tokenizer has none.
 * -1 where the prompt has unknown characters, or memory is short; nothing is left allocated. The model must outlive it. */
int generator_create(struct generator *g, const struct gpt *model, const struct tokenizer *t,
                     const char *prompt, size_t texts, struct error *err);
void generator_destroy(struct generator *g);

/* Writes the next token of each text, g->ids[(g->n - 1) * texts + b]. Each text draws its own random numbers; the first those of a
 * text alone. A text longer than the model's block goes on from the newer half of it: positions are
 * learned, so a cache cannot slide. -1 where the logits are not finite, or memory is short. */
int generator_next(struct generator *g, struct error *err);

#endif
