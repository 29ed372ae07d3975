/* generator.c: see generator.h. */
#include "train/generator.h"
#include "base/minmax.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PREFILL = 128 /* prompt tokens per pass */ };

/* Encodes the prompt and repeats its tokens for each text. */
static int encode_prompt(struct generator *g, const struct tokenizer *t, const char *prompt,
                         struct error *err)
{
    const char *text = prompt && *prompt ? prompt : "\n";
    uint32_t *ids = NULL;
    struct error unknown;
    if (tokenizer_encode(t, text, strlen(text), false, &ids, &g->n, &unknown)) {
        if (text == prompt)
            return fail(err, "--prompt: %s", unknown.text);
        g->n = 1;
        ids = calloc(1, sizeof *ids);
    }
    g->capacity = g->n_prompt = g->n;
    g->ids = ids ? calloc(g->n, g->texts * sizeof *g->ids) : NULL;
    for (size_t i = 0; g->ids && i < g->n * g->texts; i++)
        g->ids[i] = ids[i / g->texts];
    free(ids);
    return g->ids ? 0 : fail(err, "out of memory for the prompt");
}

int generator_create(struct generator *g, const struct gpt *model, const struct tokenizer *t,
                     const char *prompt, size_t texts, struct error *err)
{
    const size_t V = model->tensors->config.vocab_size, T = model->tensors->config.block_size;
    *g = (struct generator){.texts = texts};
    int status = encode_prompt(g, t, prompt, err);
    if (!status) {
        g->logits = calloc(texts, V * sizeof *g->logits);
        if (!g->logits || sampler_create(&g->sampler, V) ||
            decoder_create(&g->decoder, model, texts, size_max(size_min(T, PREFILL), texts)))
            status = fail(err, "out of memory for generating %zu texts", texts);
    }
    if (status)
        generator_destroy(g);
    return status;
}

void generator_destroy(struct generator *g)
{
    decoder_destroy(&g->decoder);
    sampler_destroy(&g->sampler);
    free(g->logits);
    free(g->ids);
    *g = (struct generator){0};
}

/* Decodes the tokens of the prompt from `begin` on, which all texts share. */
static void decode_prompt(struct generator *g, size_t begin)
{
    uint32_t ids[PREFILL];
    const size_t max = size_min(g->decoder.max_rows, PREFILL);
    for (size_t i = begin, n; i < g->n_prompt; i += n) {
        n = size_min(g->n_prompt - i, max);
        for (size_t k = 0; k < n; k++)
            ids[k] = g->ids[(i + k) * g->texts];
        decoder_prompt(&g->decoder, g->logits, ids, n);
    }
}

/* Decodes the tokens that are not in the cache, at most max_rows per pass. If they do not fit,
 * starts again with the second half of the block, or for a long prompt, with all of it. */
static void decode(struct generator *g)
{
    const size_t T = g->decoder.model->tensors->config.block_size;
    size_t begin = g->decoded;
    if (g->decoder.length + (g->n - begin) > T) {
        begin = g->n - (g->n - begin > T ? T : size_min(g->n, (T + 1) / 2));
        decoder_rewind(&g->decoder, 0);
    }
    decode_prompt(g, begin);
    const size_t max = g->decoder.max_rows / g->texts;
    for (size_t i = size_max(begin, g->n_prompt), n; i < g->n; i += n) {
        n = size_min(g->n - i, max);
        decoder_forward(&g->decoder, g->logits, g->ids + i * g->texts, n);
    }
    g->decoded = g->n;
}

int generator_next(struct generator *g, struct error *err)
{
    const size_t V = g->sampler.V;
    if (g->n == g->capacity) {
        uint32_t *grown = realloc(g->ids, 2 * g->capacity * g->texts * sizeof *grown);
        if (!grown)
            return fail(err, "out of memory for %zu tokens", 2 * g->capacity * g->texts);
        g->ids = grown;
        g->capacity *= 2;
    }
    decode(g);
    for (size_t i = 0; i < g->texts * V; i++)
        if (!isfinite(g->logits[i]))
            return fail(err, "the model's logits are not finite");
    for (size_t b = 0; b < g->texts; b++) /* no text has 2^40 tokens */
        g->ids[g->n * g->texts + b] = sampler_next(&g->sampler, g->logits + b * V,
                                                   ((uint64_t)b << 40) + (g->n - g->n_prompt));
    g->n++;
    return 0;
}
