/* eval.c: handgrad eval. */
#include "base/stop.h"
#include "train/cli/command.h"
#include "train/cli/options.h"
#include "train/evaluate.h"
#include "train/model_file.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

struct arguments {
    const char *checkpoint, *dir, *split;
    uint64_t rows; /* 0: the checkpoint's batch_size */
    bool json;
};

static const struct argp_option options[] = {
    {"split", 's', "NAME", 0, "train or val (val)", 0},
    {"batch", 'b', "ROWS", 0, "Windows at a time (the checkpoint's batch_size)", 0},
    {"json", 'j', NULL, 0, "One JSON object", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case 's':
        if (strcmp(arg, "train") != 0 && strcmp(arg, "val") != 0)
            argp_error(state, "--split: '%s' is neither train nor val", arg);
        a->split = arg;
        return 0;
    case 'b':
        a->rows = option_u64(state, "--batch", arg, 1, 1 << 20);
        return 0;
    case 'j':
        a->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (a->dir)
            argp_error(state, "'%s': expected CKPT.h5 and DIR", arg);
        *(a->checkpoint ? &a->dir : &a->checkpoint) = arg;
        return 0;
    case ARGP_KEY_END:
        if (!a->dir)
            argp_error(state, "%s is missing", a->checkpoint ? "DIR" : "CKPT.h5");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void print(const struct arguments *a, const struct evaluation *e, uint64_t step)
{
    if (a->json) {
        printf("{\"checkpoint_step\": %llu, \"split\": \"%s\", \"tokens\": %llu, \"loss\": %.9g, "
               "\"perplexity\": %.9g, ",
               (unsigned long long)step, a->split, (unsigned long long)e->tokens, e->loss,
               e->perplexity);
        printf(isnan(e->bits_per_byte) ? "\"bits_per_byte\": null}\n"
                                       : "\"bits_per_byte\": %.9g}\n",
               e->bits_per_byte);
        return;
    }
    printf("step %llu, %s: %llu tokens\n", (unsigned long long)step, a->split,
           (unsigned long long)e->tokens);
    printf("loss           %.4f nats per token\nperplexity     %.3f\n", e->loss, e->perplexity);
    if (!isnan(e->bits_per_byte))
        printf("bits per byte  %.4f\n", e->bits_per_byte);
}

static int check_tokenizer(const struct model_file *m, const struct split *s, const char *path,
                           struct error *err)
{
    if (m->tokenizer && strcmp(tokenizer_fingerprint(m->tokenizer), s->tokenizer_fingerprint) != 0)
        return fail(err, "%s: was tokenized with another tokenizer than that of %s", s->dir, path);
    if (s->vocab_size > m->model.tensors->config.vocab_size)
        return fail(err, "%s: has %llu symbols, more than the %zu of %s", s->dir,
                    (unsigned long long)s->vocab_size, m->model.tensors->config.vocab_size, path);
    if (s->tokens < 2)
        return fail(err, "%s/%s: nothing to predict in %llu tokens", s->dir, s->name,
                    (unsigned long long)s->tokens);
    return 0;
}

static int run_eval(const struct arguments *a, struct error *err)
{
    struct split *s = split_open(a->dir, a->split, err);
    if (!s)
        return -1;
    struct model_file m;
    int status = model_file_open(&m, a->checkpoint, a->rows, GPT_INFER, err);
    if (status == 0) {
        struct evaluation e;
        status = check_tokenizer(&m, s, a->checkpoint, err);
        if (status == 0)
            status =
                evaluate(&e, &m.model, passes_of(&m.config),
                         &(struct evaluation_plan){s, a->rows ? a->rows : m.config.train.batch_size,
                                                   0, m.config.data.mask_documents, m.tokenizer},
                         err);
        if (status == 0 && e.stopped)
            status = fail(err, "stopped");
        if (status == 0)
            print(a, &e, m.state.step);
        model_file_close(&m);
    }
    split_close(s);
    return status;
}

int command_eval(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "CKPT.h5 DIR",
        "The loss of a checkpoint over a whole split of DIR, every token but the first predicted "
        "once: nats per token, perplexity, bits per byte of the text.",
        NULL,
        NULL,
        NULL};
    struct arguments a = {.split = "val"};
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    stop_on_signals(false);
    struct error err;
    return run_eval(&a, &err) ? print_error(&err) : 0;
}
