/* sample.c: handgrad sample. */
#include "../data/utf8.h"
#include "../model/decode.h"
#include "command.h"
#include "model_file.h"
#include "options.h"
#include "sampler.h"
#include "stop.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
    const char *checkpoint, *prompt;
    uint64_t tokens, top_k, seed;
    double temperature, top_p;
};

enum { TOP_K = 1000, TOP_P, SEED, PREFILL = 128 /* prompt tokens in one pass */ };

static const struct argp_option options[] = {
    {"prompt", 'p', "TEXT", 0, "What the text begins with (a new line)", 0},
    {"tokens", 'n', "N", 0, "Tokens to write (500)", 0},
    {"temperature", 't', "T", 0, "Below 1 more certain, above 1 more daring, 0 always the likeliest (0.8)", 0},
    {"top-k", TOP_K, "K", 0, "Only the K likeliest tokens (200; 0 for all)", 0},
    {"top-p", TOP_P, "P", 0, "Only the likeliest tokens whose probabilities reach P (1)", 0},
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

struct session {
    struct model_file file;
    struct decoder decoder;
    struct sampler sampler;
    struct writer writer;
    uint32_t *ids; /* all tokens so far: prompt and text */
    size_t n;
    float *logits;
};

/* Tokens that the cache has not seen go through, in passes of at most PREFILL. Where the model's block is full, it starts again
 * on the newer half of it: positions are learned, so a cache cannot slide. */
static void feed(struct session *s, size_t *seen)
{
    const size_t T = s->file.config.model.block_size;
    size_t begin = s->n - *seen > T ? s->n - T : *seen;
    if (begin != *seen || s->decoder.length + (s->n - begin) > T) {
        begin = s->n - (s->n < (T + 1) / 2 ? s->n : (T + 1) / 2);
        decoder_rewind(&s->decoder, 0);
    }
    for (size_t i = begin; i < s->n; i += PREFILL)
        decoder_forward(&s->decoder, s->logits, s->ids + i, s->n - i < PREFILL ? s->n - i : PREFILL);
    *seen = s->n;
}

static int write_text(struct session *s, const struct arguments *a, struct error *err)
{
    size_t seen = 0, length;
    for (size_t i = 0; i < s->n && a->prompt; i++) {
        const char *bytes = tokenizer_bytes(s->file.tokenizer, s->ids[i], &length);
        put(&s->writer, bytes, length, false);
    }
    for (uint64_t i = 0; i < a->tokens && !stop_requested(); i++) {
        feed(s, &seen);
        for (size_t v = 0; v < s->sampler.V; v++)
            if (!isfinite(s->logits[v]))
                return fail(err, "%s: the model's logits are not finite", a->checkpoint);
        s->ids[s->n] = sampler_next(&s->sampler, s->logits, i);
        const char *bytes = tokenizer_bytes(s->file.tokenizer, s->ids[s->n++], &length);
        put(&s->writer, bytes, length, false);
    }
    put(&s->writer, "", 0, true);
    putchar('\n');
    return ferror(stdout) ? fail(err, "standard output cannot be written") : 0;
}

/* The prompt's tokens; without a prompt a new line, or the first symbol where the tokenizer knows none. */
static int encode_prompt(struct session *s, const struct arguments *a, struct error *err)
{
    const char *text = a->prompt && a->prompt[0] ? a->prompt : "\n";
    struct error unknown;
    uint32_t *ids = NULL;
    const bool given = text == a->prompt;
    if (tokenizer_encode(s->file.tokenizer, text, strlen(text), &ids, &s->n, &unknown) != 0) {
        if (given)
            return fail(err, "--prompt: %s", unknown.text);
        s->n = 1;
        ids = calloc(1, sizeof *ids);
    }
    uint32_t *room = a->tokens < SIZE_MAX / 8 - s->n ? realloc(ids, (s->n + a->tokens) * sizeof *ids) : NULL;
    if (!room)
        free(ids);
    s->ids = room;
    return room ? 0 : fail(err, "no memory for %llu tokens", (unsigned long long)a->tokens);
}

static int prepare(struct session *s, const struct arguments *a, struct error *err)
{
    if (!s->file.tokenizer)
        return fail(err, "%s: has no tokenizer, so it cannot write text", a->checkpoint);
    const size_t V = s->file.model.tensors->config.vocab_size, T = s->file.config.model.block_size;
    s->logits = malloc(V * sizeof *s->logits);
    if (!s->logits || sampler_create(&s->sampler, V) || decoder_create(&s->decoder, &s->file.model, T < PREFILL ? T : PREFILL))
        return fail(err, "%s: no memory to decode", a->checkpoint);
    s->sampler.temperature = a->temperature;
    s->sampler.top_k = a->top_k;
    s->sampler.top_p = a->top_p;
    s->sampler.seed = a->seed;
    return encode_prompt(s, a, err);
}

int command_sample(int argc, char **argv)
{
    static const struct argp argp = {options,
                                     parse,
                                     "CKPT.h5",
                                     "Lets a checkpoint write, token by token. A text longer than the model's block goes on from "
                                     "the newer half of it.",
                                     NULL,
                                     NULL,
                                     NULL};
    struct arguments a = {.tokens = 500, .top_k = 200, .seed = 1337, .temperature = 0.8, .top_p = 1};
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    stop_on_signals();
    struct error err;
    struct session s = {0};
    if (model_file_open(&s.file, a.checkpoint, 1, GPT_INFER, &err))
        return complain(&err);
    int status = prepare(&s, &a, &err);
    if (status == 0)
        status = write_text(&s, &a, &err);
    decoder_destroy(&s.decoder);
    sampler_destroy(&s.sampler);
    free(s.logits);
    free(s.ids);
    model_file_close(&s.file);
    return status ? complain(&err) : 0;
}
