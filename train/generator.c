/* generator.c: see generator.h. */
#include "generator.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PREFILL = 128 /* prompt tokens in one pass */ };

static int encode_prompt(struct generator *g, const struct tokenizer *t, const char *prompt, struct error *err)
{
    const char *text = prompt && *prompt ? prompt : "\n";
    struct error unknown;
    if (tokenizer_encode(t, text, strlen(text), &g->ids, &g->n, &unknown) != 0) {
        if (text == prompt)
            return fail(err, "--prompt: %s", unknown.text);
        g->n = 1;
        g->ids = calloc(1, sizeof *g->ids);
    }
    g->room = g->n_prompt = g->n;
    return g->ids ? 0 : fail(err, "no memory for the prompt");
}

int generator_create(struct generator *g, const struct gpt *model, const struct tokenizer *t, const char *prompt,
                     struct error *err)
{
    const size_t V = model->tensors->config.vocab_size, T = model->tensors->config.block_size;
    *g = (struct generator){0};
    int status = encode_prompt(g, t, prompt, err);
    if (!status) {
        g->logits = malloc(V * sizeof *g->logits);
        if (!g->logits || sampler_create(&g->sampler, V) || decoder_create(&g->decoder, model, T < PREFILL ? T : PREFILL))
            status = fail(err, "no memory to write");
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

/* Tokens that the cache has not seen go through, in passes of at most PREFILL. */
static void feed(struct generator *g)
{
    const size_t T = g->decoder.model->tensors->config.block_size;
    size_t begin = g->n - g->seen > T ? g->n - T : g->seen;
    if (begin != g->seen || g->decoder.length + (g->n - begin) > T) {
        begin = g->n - (g->n < (T + 1) / 2 ? g->n : (T + 1) / 2);
        decoder_rewind(&g->decoder, 0);
    }
    for (size_t i = begin; i < g->n; i += PREFILL)
        decoder_forward(&g->decoder, g->logits, g->ids + i, g->n - i < PREFILL ? g->n - i : PREFILL);
    g->seen = g->n;
}

int generator_next(struct generator *g, struct error *err)
{
    if (g->n == g->room) {
        uint32_t *grown = realloc(g->ids, 2 * g->room * sizeof *grown);
        if (!grown)
            return fail(err, "no memory for %zu tokens", 2 * g->room);
        g->ids = grown;
        g->room *= 2;
    }
    feed(g);
    for (size_t v = 0; v < g->sampler.V; v++)
        if (!isfinite(g->logits[v]))
            return fail(err, "the model's logits are not finite");
    g->ids[g->n] = sampler_next(&g->sampler, g->logits, g->n - g->n_prompt);
    g->n++;
    return 0;
}
