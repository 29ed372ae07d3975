/* generator.h: generates text token by token: one text, or several from the same prompt. */
#pragma once

#include "base/error.h"
#include "data/tokenizer/tokenizer.h"
#include "model/decode.h"
#include "train/checkpoint/checkpoint.h"
#include "train/sampler.h"

struct generator {
    struct decoder decoder;
    struct sampler sampler; /* temperature, top_k, top_p and seed are set by the caller */
    size_t texts;
    uint64_t first;               /* number of the first text */
    uint32_t *ids;                /* (n, texts): the prompt, then the generated tokens */
    size_t n, capacity, n_prompt; /* tokens per text */
    size_t decoded;               /* of these, processed by the decoder */
    float *logits;
};

/* What to generate, and from which model. */
struct generation {
    const struct gpt *model; /* must outlive the generator */
    const struct tokenizer *tokenizer;
    bool documents;     /* the model was trained on documents: without a prompt, texts begin one */
    bool masked;        /* a token sees only its own document */
    const char *prompt; /* NULL or "": a new document, otherwise a newline, or if the tokenizer has
                           none, token 0 */
    bool special;       /* names of special tokens in the prompt are those tokens */
    size_t texts;       /* generated together */
    uint64_t first;     /* the number of the first text, which selects its random numbers */
};

/* Plans to generate one text from a checkpoint or a run. */
struct generation generation_of(const struct gpt *model, const struct tokenizer *t,
                                const struct config *c, const struct train_state *s);

/* -1 if the prompt contains unknown characters or memory is short; then nothing is left
 * allocated. */
int generator_create(struct generator *g, const struct generation *plan, struct error *err);
void generator_destroy(struct generator *g);

/* Generates the next token of each text b, g->ids[(g->n - 1) * texts + b]. Each text has its own
 * random numbers, which do not depend on the others. A prompt longer than
 * block_size is cut at its beginning. A text that grows beyond block_size continues from its second
 * half, since the cache cannot slide: positions are learned. -1 if the
 * logits are not finite or memory is short. */
int generator_next(struct generator *g, struct error *err);
