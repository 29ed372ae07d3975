/* generator.c: see generator.h. */
#include "train/generator.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PREFILL = 128 /* prompt tokens in one pass */ };

static int encode_prompt(struct generator *g, const struct tokenizer *t, const char *prompt,
                         struct error *err)
{
    const char *text = prompt && *prompt ? prompt : "\n";
    struct error unknown;
    if (tokenizer_encode(t, text, strlen(text), false, &g->ids, &g->n, &unknown) != 0) {
        if (text == prompt)
            return fail(err, "--prompt: %s", unknown.text);
        g->n = 1;
        g->ids = calloc(1, sizeof *g->ids);
    }
    g->room = g->n_prompt = g->n;
    return g->ids ? 0 : fail(err, "no memory for the prompt");
}

/* The prompt's tokens once for each text. */
static int repeat_prompt(struct generator *g)
{
    uint32_t *ids = calloc(g->n, g->texts * sizeof *ids);
    for (size_t i = 0; ids && i < g->n * g->texts; i++)
        ids[i] = g->ids[i / g->texts];
    free(g->ids);
    g->ids = ids;
    return ids ? 0 : -1;
}

int generator_create(struct generator *g, const struct gpt *model, const struct tokenizer *t,
                     const char *prompt, size_t texts, struct error *err)
{
    const size_t V = model->tensors->config.vocab_size, T = model->tensors->config.block_size;
    const size_t pass = T < PREFILL ? T : PREFILL;
    *g = (struct generator){.texts = texts};
    int status = encode_prompt(g, t, prompt, err);
    if (!status) {
        g->logits = calloc(texts, V * sizeof *g->logits);
        if (!g->logits || repeat_prompt(g) || sampler_create(&g->sampler, V) ||
            decoder_create(&g->decoder, model, texts, pass < texts ? texts : pass))
            status = fail(err, "no memory to write %zu texts", texts);
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

/* The prompt's tokens from `begin` on, which are the same in all texts. */
static void feed_prompt(struct generator *g, size_t begin)
{
    uint32_t ids[PREFILL];
    const size_t most = g->decoder.max_rows < PREFILL ? g->decoder.max_rows : PREFILL;
    for (size_t i = begin, now; i < g->n_prompt; i += now) {
        now = g->n_prompt - i < most ? g->n_prompt - i : most;
        for (size_t k = 0; k < now; k++)
            ids[k] = g->ids[(i + k) * g->texts];
        decoder_prompt(&g->decoder, g->logits, ids, now);
    }
}

/* Tokens that the cache has not seen go through, in passes of at most max_rows. */
static void feed(struct generator *g)
{
    const size_t T = g->decoder.model->tensors->config.block_size;
    size_t begin = g->n - g->seen > T ? g->n - T : g->seen;
    if (begin != g->seen || g->decoder.length + (g->n - begin) > T) {
        begin = g->n - (g->n < (T + 1) / 2 ? g->n : (T + 1) / 2);
        decoder_rewind(&g->decoder, 0);
    }
    feed_prompt(g, begin);
    if (begin < g->n_prompt)
        begin = g->n_prompt;
    const size_t most = g->decoder.max_rows / g->texts;
    for (size_t i = begin, now; i < g->n; i += now) {
        now = g->n - i < most ? g->n - i : most;
        decoder_forward(&g->decoder, g->logits, g->ids + i * g->texts, now);
    }
    g->seen = g->n;
}

int generator_next(struct generator *g, struct error *err)
{
    const size_t V = g->sampler.V;
    if (g->n == g->room) {
        uint32_t *grown = realloc(g->ids, 2 * g->room * g->texts * sizeof *grown);
        if (!grown)
            return fail(err, "no memory for %zu tokens", 2 * g->room * g->texts);
        g->ids = grown;
        g->room *= 2;
    }
    feed(g);
    for (size_t i = 0; i < g->texts * V; i++)
        if (!isfinite(g->logits[i]))
            return fail(err, "the model's logits are not finite");
    for (size_t b = 0; b < g->texts; b++) /* 2^40 tokens are more than any text has */
        g->ids[g->n * g->texts + b] = sampler_next(&g->sampler, g->logits + b * V,
                                                   ((uint64_t)b << 40) + (g->n - g->n_prompt));
    g->n++;
    return 0;
}
