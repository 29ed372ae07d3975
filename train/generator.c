/* generator.c: see generator.h. */
#include "train/generator.h"
#include "base/minmax.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PREFILL = 128 /* prompt tokens per pass */ };

struct generation generation_of(const struct gpt *model, const struct tokenizer *t,
                                const struct config *c, const struct train_state *s)
{
    const bool documents =
        s->documents || c->data.mask_documents || c->data.windows == WINDOWS_DOCUMENTS;
    return (struct generation){.model = model,
                               .tokenizer = t,
                               .documents = documents,
                               .masked = c->data.mask_documents,
                               .texts = 1};
}

/* Encodes the prompt into *ids, which the caller frees. */
static int encode_prompt(const struct generation *p, uint32_t **ids, size_t *n, struct error *err)
{
    struct error why;
    uint32_t end_of_text;
    const bool given = p->prompt && *p->prompt;
    const char *text = given ? p->prompt : "\n";
    const bool begins = !given && p->documents && tokenizer_end_of_text(p->tokenizer, &end_of_text);
    if (!begins && !tokenizer_encode(p->tokenizer, text, strlen(text), p->special, ids, n, &why))
        return 0;
    if (given)
        return fail(err, "--prompt: %s", why.text);
    *n = 1;
    if (!(*ids = calloc(1, sizeof **ids)))
        return fail(err, "out of memory for the prompt");
    **ids = begins ? end_of_text : 0;
    return 0;
}

/* Repeats the prompt's tokens for each text. */
static int take_prompt(struct generator *g, const struct generation *p, struct error *err)
{
    uint32_t *ids;
    if (encode_prompt(p, &ids, &g->n, err))
        return -1;
    g->capacity = g->n_prompt = g->n;
    g->ids = calloc(g->n, g->texts * sizeof *g->ids);
    for (size_t i = 0; g->ids && i < g->n * g->texts; i++)
        g->ids[i] = ids[i / g->texts];
    free(ids);
    return g->ids ? 0 : fail(err, "out of memory for the prompt");
}

int generator_create(struct generator *g, const struct generation *p, struct error *err)
{
    const size_t V = p->model->tensors->config.vocab_size, T = p->model->tensors->config.block_size,
                 texts = p->texts;
    *g = (struct generator){.texts = texts, .first = p->first};
    int status = take_prompt(g, p, err);
    if (!status) {
        g->logits = calloc(texts, V * sizeof *g->logits);
        if (!g->logits || sampler_create(&g->sampler, V) ||
            decoder_create(&g->decoder, p->model, texts, size_max(size_min(T, PREFILL), texts)))
            status = fail(err, "out of memory for generating %zu texts", texts);
        else if (p->masked)
            tokenizer_end_of_text(p->tokenizer, &g->decoder.separator);
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
                                                   ((g->first + b) << 40) + (g->n - g->n_prompt));
    g->n++;
    return 0;
}
