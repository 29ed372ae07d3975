/* sample.c: handgrad sample. */
#include "base/stop.h"
#include "base/utf8.h"
#include "train/checkpoint/run_directory.h"
#include "train/cli/command.h"
#include "train/generator.h"
#include "train/model_file.h"
#include <stdio.h>
#include <string.h>

struct arguments {
    const char *checkpoint, *prompt;
    uint64_t tokens, batch, top_k, seed;
    double temperature, top_p;
};

/* Bytes of a character that the tokens so far have not completed. */
struct writer {
    char pending[BPE_MAX_TOKEN + UTF8_MAX];
    size_t length;
};

/* Writes the n first of the pending bytes as valid UTF-8. */
static void write_pending(struct writer *w, size_t n)
{
    static char out[3 * sizeof w->pending];
    fwrite(out, 1, utf8_repair(w->pending, n, out), stdout);
    w->length -= n;
    memmove(w->pending, w->pending + n, w->length);
}

/* Writes tokens [first, last) of text b. Stops before an incomplete character. */
static void write_tokens(struct writer *w, const struct generator *g, const struct tokenizer *t,
                         size_t b, size_t first, size_t last)
{
    for (size_t i = first; i < last; i++) {
        size_t n;
        const char *bytes = tokenizer_bytes(t, g->ids[i * g->texts + b], &n);
        memcpy(w->pending + w->length, bytes, n);
        w->length += n;
        write_pending(w, utf8_complete(w->pending, w->length));
    }
    fflush(stdout);
}

/* Generates the texts. A single one is written token by token, several are written at the end. */
static int generate(struct generator *g, const struct tokenizer *t, const struct arguments *a,
                    struct error *err)
{
    struct error why;
    struct writer w = {.length = 0};
    size_t written = a->prompt ? 0 : g->n_prompt;
    for (uint64_t i = 0;; i++) {
        if (g->texts == 1) {
            write_tokens(&w, g, t, 0, written, g->n);
            written = g->n;
        }
        if (i == a->tokens || stop_requested())
            break;
        if (generator_next(g, &why))
            return fail(err, "%s: %s", a->checkpoint, why.text);
    }
    for (size_t b = 0; b < g->texts; b++) {
        if (b)
            puts("---------------");
        write_tokens(&w, g, t, b, written, g->n);
        write_pending(&w, w.length);
        putchar('\n');
    }
    return 0;
}

static int run_sample(const struct arguments *a, struct error *err)
{
    struct model_file m;
    struct generator g;
    if (model_file_open(&m, a->checkpoint, 1, GPT_INFER, err))
        return -1;
    int status = -1;
    struct generation plan = generation_of(&m.model, m.tokenizer, &m.config, &m.state);
    plan.prompt = a->prompt;
    plan.texts = a->batch;
    if (!m.tokenizer) {
        fail(err, "%s: has no tokenizer, which writing text needs", a->checkpoint);
    } else if (!generator_create(&g, &plan, err)) {
        const size_t T = m.config.model.block_size;
        if (g.n_prompt > T)
            fprintf(stderr,
                    "handgrad: --prompt: only the last %zu of its %zu tokens fit into block_size\n",
                    T, g.n_prompt);
        g.sampler.temperature = a->temperature;
        g.sampler.top_k = a->top_k;
        g.sampler.top_p = a->top_p;
        g.sampler.seed = a->seed;
        status = generate(&g, m.tokenizer, a, err);
        generator_destroy(&g);
    }
    model_file_close(&m);
    return status;
}

int command_sample(int argc, char **argv, struct error *err)
{
    struct arguments a = {
        .tokens = 500, .batch = 1, .top_k = 200, .seed = 1337, .temperature = 0.8, .top_p = 1};
    const struct option_spec options[] = {
        {"CKPT.h5|RUN", .operand = &a.checkpoint},
        {"prompt", 'p', "TEXT", "Text to continue (a newline)", .string = &a.prompt},
        {"tokens", 'n', "N", "Number of tokens to generate (500)", .count = &a.tokens},
        {"temperature", 't', "T",
         "Divide the logits by T; 0 always takes the most likely token (0.8)",
         .number = &a.temperature, .low = 0, .high = 1e6},
        {"top-k", 0, "K", "Sample only from the K most likely tokens; 0 for all (200)",
         .count = &a.top_k},
        {"top-p", 0, "P",
         "Sample only from the most likely tokens whose probabilities add up to P (1)",
         .number = &a.top_p, .low = 0, .high = 1},
        {"batch", 0, "N",
         "Number of texts to generate side by side, in little more time than one; they are "
         "printed at the end (1)",
         .count = &a.batch, .min = 1, .max = 4096},
        {"seed", 0, "S", "Seed; the same seed gives the same text (1337)", .count = &a.seed},
        {0}};
    parse_command_line(argc, argv, options, "CKPT.h5|RUN",
                       "Generates text with the model of a checkpoint. Of a prompt longer than "
                       "block_size, the end is used. When the text exceeds block_size, the newer "
                       "half of the context is kept.");
    stop_on_signals(false);
    char path[RUN_PATH_MAX];
    return (a.checkpoint = checkpoint_of(path, a.checkpoint, err)) ? run_sample(&a, err) : -1;
}
