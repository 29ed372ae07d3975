/* sample.c: handgrad sample. */
#include "base/array.h"
#include "base/minmax.h"
#include "base/stop.h"
#include "base/utf8.h"
#include "train/checkpoint/run_directory.h"
#include "train/cli/command.h"
#include "train/generator.h"
#include "train/model_file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
    const char *checkpoint, *prompt;
    struct string_list stops;
    bool special;
    uint64_t tokens, count, batch, top_k, seed;
    double temperature, top_p;
};

/* Where texts end. */
struct stops {
    const struct tokenizer *tokenizer;
    struct {
        const char *text; /* NULL: the token */
        uint32_t token;
    } items[STRING_LIST_MAX + 1];
    size_t n, longest; /* bytes of the longest text */
};

static int find_stops(struct stops *s, const struct arguments *a, bool documents, struct error *err)
{
    const struct tokenizer *t = s->tokenizer;
    for (size_t i = 0; i < a->stops.n; i++) {
        const char *text = a->stops.items[i];
        uint32_t *ids = NULL;
        size_t n = 0;
        if (!*text)
            return fail(err, "--stop: expected a text or the name of a special token, got ''");
        const bool encoded = !tokenizer_encode(t, text, strlen(text), true, &ids, &n, NULL);
        if (encoded && n == 1 && tokenizer_is_special(t, ids[0])) {
            s->items[s->n++].token = ids[0];
        } else {
            s->items[s->n++].text = text;
            s->longest = size_max(s->longest, strlen(text));
        }
        free(ids);
    }
    s->n += documents && a->count && tokenizer_end_of_text(t, &s->items[s->n].token);
    return 0;
}

/* A text that is being generated. */
struct text {
    char *bytes;
    size_t n, capacity;
    size_t prompt, written; /* bytes */
    bool complete;
};

static int append(struct text *x, const char *bytes, size_t n, struct error *err)
{
    if (!array_reserve(&x->bytes, &x->capacity, x->n + n))
        return fail(err, "out of memory for a text of %zu bytes", x->n + n);
    memcpy(x->bytes + x->n, bytes, n);
    x->n += n;
    return 0;
}

/* Appends a generated token, unless it completes the text. */
static int take_token(struct text *x, const struct stops *s, uint32_t id, struct error *err)
{
    size_t length;
    const char *bytes = tokenizer_name(s->tokenizer, id, &length);
    for (size_t i = 0; i < s->n && !x->complete; i++)
        x->complete = !s->items[i].text && s->items[i].token == id;
    if (x->complete)
        return 0;
    /* The first byte that can belong to a stop that ends with this token. */
    size_t from = size_max(x->prompt, x->n - size_min(x->n, s->longest));
    if (append(x, bytes, length, err))
        return -1;
    for (size_t i = 0; i < s->n; i++) {
        const char *text = s->items[i].text,
                   *at = text ? memmem(x->bytes + from, x->n - from, text, strlen(text)) : NULL;
        if (at) {
            x->n = at - x->bytes;
            x->complete = true;
        }
    }
    return 0;
}

/* Writes what is new, as valid UTF-8: all, or what certainly belongs to the text, which excludes
 * the beginning of a stop and of a character. */
static int write_text(struct text *x, const struct stops *s, bool all, struct error *err)
{
    const size_t certain = all ? x->n : size_max(x->written, x->n - size_min(x->n, s->longest));
    const char *bytes = x->bytes + x->written;
    size_t n = certain - x->written;
    if (!all)
        n = utf8_complete(bytes, n);
    char *out = malloc(3 * n + 1);
    if (!out)
        return fail(err, "out of memory for %zu bytes of text", n);
    fwrite(out, 1, utf8_repair(bytes, n, out), stdout);
    fflush(stdout);
    free(out);
    x->written += n;
    return 0;
}

static int begin_text(struct text *x, const struct generator *g, const struct stops *s, size_t b,
                      struct error *err)
{
    int status = 0;
    for (size_t i = 0, length; i < g->n_prompt && !status; i++) {
        const char *bytes = tokenizer_name(s->tokenizer, g->ids[i * g->texts + b], &length);
        status = append(x, bytes, length, err);
    }
    x->prompt = x->n;
    return status;
}

/* Generates the texts of one generator. A single one is written as it grows, several are written at
 * the end. */
static int generate(struct generator *g, const struct arguments *a, const struct stops *s,
                    struct text *texts, struct error *err)
{
    const bool streams = g->texts == 1;
    struct error why;
    size_t left = g->texts; /* incomplete texts */
    for (size_t b = 0; a->prompt && b < g->texts; b++)
        if (begin_text(&texts[b], g, s, b, err))
            return -1;
    if (streams && g->first)
        puts("---------------");
    for (uint64_t i = 0; i < a->tokens && left && !stop_requested(); i++) {
        if (streams && write_text(texts, s, false, err))
            return -1;
        if (generator_next(g, &why))
            return fail(err, "%s: %s", a->checkpoint, why.text);
        for (size_t b = 0; b < g->texts; b++) {
            if (texts[b].complete)
                continue;
            if (take_token(&texts[b], s, g->ids[(g->n - 1) * g->texts + b], err))
                return -1;
            left -= texts[b].complete;
        }
    }
    for (size_t b = 0; b < g->texts; b++) {
        if (g->first + b && !streams)
            puts("---------------");
        if (write_text(&texts[b], s, true, err))
            return -1;
        putchar('\n');
    }
    return 0;
}

static void remark_on_prompt(const struct generator *g, const struct generation *plan)
{
    const size_t T = plan->model->tensors->config.block_size;
    uint32_t id;
    if (g->n_prompt > T)
        fprintf(stderr,
                "handgrad: --prompt: only the last %zu of its %zu tokens fit into block_size\n", T,
                g->n_prompt);
    if (plan->prompt && strstr(plan->prompt, END_OF_TEXT) && !plan->special &&
        tokenizer_end_of_text(plan->tokenizer, &id))
        fprintf(stderr, "handgrad: --prompt: %s is ordinary text; with --special it is a token\n",
                END_OF_TEXT);
}

/* Generates plan->texts texts from number plan->first on. */
static int sample(const struct generation *plan, const struct arguments *a, const struct stops *s,
                  struct error *err)
{
    struct generator g;
    if (generator_create(&g, plan, err))
        return -1;
    if (!plan->first)
        remark_on_prompt(&g, plan);
    g.sampler.temperature = a->temperature;
    g.sampler.top_k = a->top_k;
    g.sampler.top_p = a->top_p;
    g.sampler.seed = a->seed;
    struct text *texts = calloc(plan->texts, sizeof *texts);
    const int status =
        texts ? generate(&g, a, s, texts, err) : fail(err, "out of memory for %zu texts", g.texts);
    for (size_t b = 0; texts && b < plan->texts; b++)
        free(texts[b].bytes);
    free(texts);
    generator_destroy(&g);
    return status;
}

static int run_sample(const struct arguments *a, struct error *err)
{
    const uint64_t count = a->count   ? a->count
                           : a->batch ? a->batch
                                      : 1,
                   batch = a->batch ? a->batch : 16;
    struct model_file m;
    if (model_file_open(&m, a->checkpoint, 1, GPT_INFER, err))
        return -1;
    struct stops stops = {.tokenizer = m.tokenizer};
    struct generation plan = generation_of(&m.model, m.tokenizer, &m.config, &m.state);
    plan.prompt = a->prompt;
    plan.special = a->special;
    int status = m.tokenizer
                     ? find_stops(&stops, a, plan.documents, err)
                     : fail(err, "%s: has no tokenizer, which writing text needs", a->checkpoint);
    for (; !status && plan.first < count && !stop_requested(); plan.first += plan.texts) {
        plan.texts = size_min(batch, count - plan.first);
        status = sample(&plan, a, &stops, err);
    }
    model_file_close(&m);
    return status;
}

int command_sample(int argc, char **argv, struct error *err)
{
    struct arguments a = {
        .tokens = 500, .top_k = 200, .seed = 1337, .temperature = 0.8, .top_p = 1};
    const struct option_spec options[] = {
        {"CKPT.h5|RUN", .operand = &a.checkpoint},
        {"prompt", 'p', "TEXT",
         "Text to continue (by default, a new document if the model was trained on documents, "
         "otherwise a newline)",
         .string = &a.prompt},
        {"special", 0, NULL, "Treat names of special tokens in the prompt as these tokens",
         .flag = &a.special},
        {"tokens", 'n', "N", "Maximum number of tokens to generate (500)", .count = &a.tokens},
        {"stop", 0, "TEXT|TOKEN",
         "End a text before this text, or at the special token of this name; may be repeated",
         .list = &a.stops},
        {"count", 0, "N",
         "Number of texts (1). If the model was trained on documents, each is one document",
         .count = &a.count, .min = 1},
        {"batch", 0, "N",
         "Number of texts to generate side by side, in little more time than one; they are "
         "printed when all are complete (--count, at most 16)",
         .count = &a.batch, .min = 1, .max = 4096},
        {"temperature", 't', "T",
         "Divide the logits by T; 0 always takes the most likely token (0.8)",
         .number = &a.temperature, .low = 0, .high = 1e6},
        {"top-k", 0, "K", "Sample only from the K most likely tokens; 0 for all (200)",
         .count = &a.top_k},
        {"top-p", 0, "P",
         "Sample only from the most likely tokens whose probabilities add up to P (1)",
         .number = &a.top_p, .low = 0, .high = 1},
        {"seed", 0, "S|random",
         "Seed; the same seed gives the same texts. random: another one each time, which is "
         "reported (1337)",
         .count = &a.seed, .random = true},
        {0}};
    parse_command_line(argc, argv, options, "CKPT.h5|RUN",
                       "Generates text with the model of a checkpoint. Special tokens are written "
                       "by name. Of a prompt longer than block_size, the end is used. When the "
                       "text exceeds block_size, the newer half of the context is kept.");
    stop_on_signals(false);
    char path[RUN_PATH_MAX];
    return (a.checkpoint = checkpoint_of(path, a.checkpoint, err)) ? run_sample(&a, err) : -1;
}
