/* eval.c: handgrad eval. */
#include "base/stop.h"
#include "train/checkpoint/run_directory.h"
#include "train/cli/command.h"
#include "train/evaluate.h"
#include "train/json.h"
#include "train/model_file.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const split_names[] = {"train", "val", NULL};

struct arguments {
    const char *checkpoint, *dir;
    int split;     /* index in split_names */
    uint64_t rows; /* 0: the checkpoint's batch_size */
    bool json;
};

static void print(const struct arguments *a, const struct evaluation *e, uint64_t step)
{
    const char *split = split_names[a->split];
    if (a->json) {
        json_print(json_add(NULL, FIELDS(NUMBER("checkpoint_step", step), TEXT("split", split),
                                         NUMBER("tokens", e->tokens), NUMBER("loss", e->loss),
                                         NUMBER("perplexity", e->perplexity),
                                         NUMBER("bits_per_byte", e->bits_per_byte))));
        return;
    }
    printf("step %" PRIu64 ", %s: %" PRIu64 " tokens\n", step, split, e->tokens);
    printf("loss           %.4f nats per token\nperplexity     %.3f\n", e->loss, e->perplexity);
    if (!isnan(e->bits_per_byte))
        printf("bits per byte  %.4f\n", e->bits_per_byte);
}

static int check_data(const struct model_file *m, const struct split *s, const char *path,
                      struct error *err)
{
    const size_t vocab_size = m->model.tensors->config.vocab_size;
    if (m->tokenizer && strcmp(m->tokenizer->fingerprint, s->tokenizer_fingerprint) != 0)
        return fail(err, "%s: not tokenized with the tokenizer of %s", s->dir, path);
    if (s->vocab_size > vocab_size)
        return fail(err, "%s: vocabulary of %" PRIu64 " tokens, but %s has only %zu", s->dir,
                    s->vocab_size, path, vocab_size);
    if (s->tokens < 2)
        return fail(err, "%s/%s: %" PRIu64 " tokens, expected at least 2", s->dir, s->name,
                    s->tokens);
    return 0;
}

static int evaluate_file(const struct arguments *a, struct model_file *m, struct split *s,
                         struct error *err)
{
    struct evaluation e;
    const struct evaluation_plan plan = {.split = s,
                                         .rows = a->rows ? a->rows : m->config.train.batch_size,
                                         .windows = m->config.data.windows,
                                         .mask_documents = m->config.data.mask_documents,
                                         .tokenizer = m->tokenizer};
    if (check_data(m, s, a->checkpoint, err) ||
        evaluate(&e, &m->model, config_model_code(&m->config), &plan, err))
        return -1;
    if (e.stopped)
        return fail(err, "stopped");
    print(a, &e, m->state.step);
    return 0;
}

static int run_eval(const struct arguments *a, struct error *err)
{
    struct split *s = split_open(a->dir, split_names[a->split], err);
    if (!s)
        return -1;
    struct model_file m;
    int status = model_file_open(&m, a->checkpoint, a->rows, GPT_INFER, err);
    if (status == 0) {
        status = evaluate_file(a, &m, s, err);
        model_file_close(&m);
    }
    split_close(s);
    return status;
}

int command_eval(int argc, char **argv, struct error *err)
{
    struct arguments a = {.split = 1};
    const struct option_spec options[] = {
        {"CKPT.h5|RUN", .operand = &a.checkpoint},
        {"DIR", .operand = &a.dir},
        {"split", 's', "NAME", "Split to evaluate: train or val (val)", .choice = &a.split,
         .choices = split_names},
        {"batch", 'b', "ROWS", "Windows per batch (the checkpoint's batch_size)", .count = &a.rows,
         .min = 1, .max = 1 << 20},
        {"json", 'j', NULL, "Print one JSON object", .flag = &a.json},
        {0}};
    parse_command_line(argc, argv, options, "CKPT.h5|RUN DIR",
                       "Computes the loss of a checkpoint over a whole split of the data in "
                       "DIR: nats per token, perplexity and bits per byte of the text. Every "
                       "token but the first is predicted once.");
    stop_on_signals(false);
    char path[RUN_PATH_MAX];
    return (a.checkpoint = checkpoint_of(path, a.checkpoint, err)) ? run_eval(&a, err) : -1;
}
