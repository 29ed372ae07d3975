/* sample.c: handgrad sample. */
#include "base/stop.h"
#include "base/utf8.h"
#include "train/cli/command.h"
#include "train/cli/options.h"
#include "train/generator.h"
#include "train/model_file.h"
#include <stdio.h>
#include <string.h>

struct arguments {
    const char *checkpoint, *prompt;
    uint64_t tokens, batch, top_k, seed;
    double temperature, top_p;
};

enum { TOP_K = 1000, TOP_P, SEED, BATCH, BATCH_MAX = 4096 };

static const struct argp_option options[] = {
    {"prompt", 'p', "TEXT", 0, "What the text begins with (a new line)", 0},
    {"tokens", 'n', "N", 0, "Tokens to write (500)", 0},
    {"temperature", 't', "T", 0,
     "Below 1 more certain, above 1 more daring, 0 always the likeliest (0.8)", 0},
    {"top-k", TOP_K, "K", 0, "Only the K likeliest tokens (200; 0 for all)", 0},
    {"top-p", TOP_P, "P", 0, "Only the likeliest tokens whose probabilities reach P (1)", 0},
    {"batch", BATCH, "N", 0,
     "Texts to write side by side, in little more time than one; they appear when they are whole "
     "(1)",
     0},
    {"seed", SEED, "S", 0, "Of the random numbers: the same seed writes the same text (1337)", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case 'p':
        a->prompt = arg;
        return 0;
    case 'n':
        a->tokens = option_u64(state, "--tokens", arg, 0, UINT64_MAX);
        return 0;
    case 't':
        a->temperature = option_double(state, "--temperature", arg, 0, 1e6);
        return 0;
    case TOP_K:
        a->top_k = option_u64(state, "--top-k", arg, 0, UINT64_MAX);
        return 0;
    case TOP_P:
        a->top_p = option_double(state, "--top-p", arg, 0, 1);
        return 0;
    case BATCH:
        a->batch = option_u64(state, "--batch", arg, 1, BATCH_MAX);
        return 0;
    case SEED:
        a->seed = option_u64(state, "--seed", arg, 0, UINT64_MAX);
        return 0;
    case ARGP_KEY_ARG:
        if (a->checkpoint)
            argp_error(state, "'%s': one CKPT.h5 is enough", arg);
        a->checkpoint = arg;
        return 0;
    case ARGP_KEY_END:
        if (!a->checkpoint)
            argp_error(state, "CKPT.h5 is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Bytes go out when their character is whole: a token may end in the middle of one. */
struct writer {
    char pending[1024];
    size_t length;
};

static void put(struct writer *w, const char *bytes, size_t n, bool last)
{
    while (n || last) {
        const size_t room = sizeof w->pending - w->length, taken = n < room ? n : room;
        memcpy(w->pending + w->length, bytes, taken);
        w->length += taken;
        bytes += taken;
        n -= taken;
        const size_t whole = last && n == 0 ? w->length : utf8_complete(w->pending, w->length);
        char out[3 * sizeof w->pending];
        fwrite(out, 1, utf8_repair(w->pending, whole, out), stdout);
        memmove(w->pending, w->pending + whole, w->length - whole);
        w->length -= whole;
        if (n == 0)
            break;
    }
    fflush(stdout);
}

static void put_token(struct writer *w, const struct tokenizer *t, uint32_t id)
{
    size_t length;
    const char *bytes = tokenizer_bytes(t, id, &length);
    put(w, bytes, length, false);
}

/* Text b of those that were written. */
static void put_text(const struct generator *g, const struct tokenizer *t,
                     const struct arguments *a, size_t b)
{
    struct writer w = {.length = 0};
    for (size_t i = a->prompt ? 0 : g->n_prompt; i < g->n; i++)
        put_token(&w, t, g->ids[i * g->texts + b]);
    put(&w, "", 0, true);
    putchar('\n');
}

static int write_batch(struct generator *g, const struct tokenizer *t, const struct arguments *a,
                       struct error *err)
{
    struct error why;
    for (uint64_t i = 0; i < a->tokens && !stop_requested(); i++)
        if (generator_next(g, &why))
            return fail(err, "%s: %s", a->checkpoint, why.text);
    for (size_t b = 0; b < g->texts; b++) {
        if (b)
            puts("---------------");
        put_text(g, t, a, b);
    }
    return 0;
}

static int write_text(struct generator *g, const struct tokenizer *t, const struct arguments *a,
                      struct error *err)
{
    struct writer w = {.length = 0};
    struct error why;
    for (size_t i = 0; i < g->n && a->prompt; i++)
        put_token(&w, t, g->ids[i]);
    for (uint64_t i = 0; i < a->tokens && !stop_requested(); i++) {
        if (generator_next(g, &why))
            return fail(err, "%s: %s", a->checkpoint, why.text);
        put_token(&w, t, g->ids[g->n - 1]);
    }
    put(&w, "", 0, true);
    putchar('\n');
    return 0;
}

static int sample(const struct model_file *m, const struct arguments *a, struct error *err)
{
    struct generator g;
    if (!m->tokenizer)
        return fail(err, "%s: has no tokenizer, so it cannot write text", a->checkpoint);
    if (generator_create(&g, &m->model, m->tokenizer, a->prompt, a->batch, err))
        return -1;
    g.sampler.temperature = a->temperature;
    g.sampler.top_k = a->top_k;
    g.sampler.top_p = a->top_p;
    g.sampler.seed = a->seed;
    const int status = (a->batch > 1 ? write_batch : write_text)(&g, m->tokenizer, a, err);
    generator_destroy(&g);
    return status;
}

int command_sample(int argc, char **argv)
{
    static const struct argp argp = {options,
                                     parse,
                                     "CKPT.h5",
                                     "Lets a checkpoint write, token by token. A text longer than "
                                     "the model's block goes on from "
                                     "the newer half of it.",
                                     NULL,
                                     NULL,
                                     NULL};
    struct arguments a = {
        .tokens = 500, .batch = 1, .top_k = 200, .seed = 1337, .temperature = 0.8, .top_p = 1};
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    stop_on_signals(false);
    struct error err;
    struct model_file m;
    if (model_file_open(&m, a.checkpoint, 1, GPT_INFER, &err))
        return print_error(&err);
    const int status = sample(&m, &a, &err);
    model_file_close(&m);
    return status ? print_error(&err) : 0;
}
