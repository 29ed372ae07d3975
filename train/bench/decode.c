/* decode.c: the time of one token with a cache of keys and values, and the bandwidth that it
 * implies. */
#include "base/clock.h"
#include "train/bench/bench.h"
#include <stdio.h>
#include <stdlib.h>

enum { PROMPT = 64, RUNS = 64 };

struct generation {
    const struct bench_precision *precision;
    struct gpt model;
    struct decoder decoder;
    uint32_t *ids;
    float *logits;
    size_t n; /* tokens of each text in one pass */
};

static void run_pass(void *generation)
{
    struct generation *g = generation;
    g->precision->decoder_forward(&g->decoder, g->logits, g->ids, g->n);
}

/* -1 if memory is short; needs destroy in either case. */
static int create(struct generation *g, const struct model_config *c, size_t texts)
{
    struct tensors *tensors = tensors_create(c);
    g->ids = calloc(texts * PROMPT, sizeof *g->ids);
    g->logits = calloc(texts, c->vocab_size * sizeof *g->logits);
    if (!tensors || gpt_create(&g->model, tensors, 1, GPT_INFER) || !g->ids || !g->logits ||
        decoder_create(&g->decoder, &g->model, texts, texts * PROMPT))
        return -1;
    gpt_init(&g->model, 1);
    return 0;
}

static void destroy(struct generation *g)
{
    decoder_destroy(&g->decoder);
    gpt_destroy(&g->model);
    free(g->ids);
    free(g->logits);
}

static void print_decode(const struct bench *b, const struct timing *t, double prefill,
                         double n_parameters)
{
    const struct workload *w = b->workload;
    const struct model_config *c = &w->config;
    const double prompt = 2 * PROMPT, texts = w->B, C = c->n_embd,
                 length = prompt + 1 + (t->runs + 1) / 2.0;
    /* A pass reads all weights but those of the positions, and the keys and values. */
    const double weights = n_parameters - C * c->block_size,
                 bytes = sizeof(float) * (weights + 2 * texts * c->n_layer * C * length),
                 rate = bytes / t->median, tokens_per_s = texts / t->median,
                 memory = bench_peak_memory();
    const struct machine *m = &b->machine;
    if (b->json) {
        json_print(report_object(
            b, "decode",
            FIELDS(TEXT("precision", b->precision->name), NUMBER("n_parameters", n_parameters),
                   NUMBER("prompt", prompt), TIMING(*t), NUMBER("texts", texts),
                   NUMBER("tokens_per_s", tokens_per_s), NUMBER("prefill_tokens_per_s", prefill),
                   NUMBER("bytes", bytes), NUMBER("bandwidth", rate),
                   NUMBER("copy_share", rate / m->copy), NUMBER("read_share", rate / m->read),
                   NUMBER("peak_memory", memory))));
        return;
    }
    printf("\n%s in %s: one token at a time of %.0f text%s, %.1f M parameters, after %.0f tokens\n",
           w->name, b->precision->name, texts, texts > 1 ? "s" : "", n_parameters / 1e6, prompt);
    report_timing("pass", t, false);
    printf("  tokens/s       %.1f; %.0f if a prompt comes in one call\n", tokens_per_s, prefill);
    printf("  bandwidth      %.1f GB/s: %.2f of reading, %.2f of copying\n", rate / 1e9,
           rate / m->read, rate / m->copy);
    printf("  peak memory    %.2f GB\n", memory / 1e9);
}

int measure_decode(struct bench *b)
{
    const struct workload *w = b->workload;
    struct generation g = {.precision = b->precision, .n = PROMPT};
    if (create(&g, &w->config, w->B)) {
        destroy(&g);
        return bench_no_memory(b, "model and cache");
    }
    run_pass(&g); /* warms up */
    const double start = seconds();
    run_pass(&g);
    const double prefill = w->B * PROMPT / (seconds() - start);
    g.n = 1;
    const size_t max_runs = w->config.block_size - 2 * PROMPT - 1, runs = b->runs ? b->runs : RUNS;
    const struct timing t = time_runs(run_pass, &g, runs < max_runs ? runs : max_runs, 0);
    warn_if_noisy(b, &t);
    print_decode(b, &t, prefill, g.model.tensors->n_parameters);
    destroy(&g);
    return 0;
}
