/* train.c: handgrad train. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/stop.h"
#include "model/gemm/gemm_backend.h"
#include "train/checkpoint/image.h"
#include "train/checkpoint/run_folder.h"
#include "train/cli/command.h"
#include "train/cli/options.h"
#include "train/report/report.h"
#include "train/run.h"
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

struct arguments {
    const char *config, *out, *init;
    struct settings settings;
    struct allowed allowed;
    bool resume;
    uint64_t stop_at;
};

enum { SET = 1000, INIT, RESUME, ALLOW, STOP_AT, KEYS };

static const struct argp_option options[] = {
    {"out", 'o', "RUN", 0, "The run folder: config.ini, metrics.jsonl, ckpt-STEP.h5, best.h5", 0},
    {"set", SET, "SECTION.KEY=VALUE", 0, "Overrides a key of CONFIG; may be repeated", 0},
    {"init", INIT, "CKPT.h5", 0, "Begins with the weights of a checkpoint, at step 0", 0},
    {"resume", RESUME, NULL, 0,
     "Goes on with the run in RUN from its newest checkpoint, bit for bit, by its own config.ini "
     "where no CONFIG is given",
     0},
    {"allow", ALLOW, "LIST", 0,
     "With --resume: what may have changed since, as in data,lr; all else must be as it was", 0},
    {"stop-at", STOP_AT, "STEP", 0,
     "Saves and stops after this many steps in all; the schedule stays that of train.steps", 0},
    {"keys", KEYS, NULL, 0, "Lists every key of a configuration with its default and meaning", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    struct error err;
    switch (key) {
    case 'o':
        a->out = arg;
        return 0;
    case SET:
        settings_add(&a->settings, arg, state);
        return 0;
    case INIT:
        a->init = arg;
        return 0;
    case RESUME:
        a->resume = true;
        return 0;
    case ALLOW:
        if (allow(&a->allowed, arg, &err))
            argp_error(state, "%s", err.text);
        return 0;
    case STOP_AT:
        a->stop_at = option_u64(state, "--stop-at", arg, 1, UINT64_MAX);
        return 0;
    case KEYS:
        config_help(stdout);
        exit(0);
    case ARGP_KEY_ARG:
        if (a->config)
            argp_error(state, "'%s': one CONFIG is enough", arg);
        a->config = arg;
        return 0;
    case ARGP_KEY_END:
        if (!a->out)
            argp_error(state, "--out RUN is missing");
        if (!a->config && !a->resume)
            argp_error(state, "CONFIG is missing");
        if (a->resume && a->init)
            argp_error(state, "--init begins a run, --resume goes on with one: choose");
        if (a->allowed.n && !a->resume)
            argp_error(state, "--allow is for --resume");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* A resumed run may leave CONFIG out: the run folder has it, as resolved. */
static int load_config(const struct arguments *a, struct config *config, struct error *err)
{
    char path[CONFIG_PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/config.ini", a->out);
    return settings_load(&a->settings, config, a->config ? a->config : path, err);
}

static void announce(const struct run *r)
{
    const struct trainer *t = &r->trainer;
    const struct config *c = &t->config;
    printf("%.2f M parameters: %llu layers, %llu heads, %llu wide, block %llu, %zu symbols (%s); "
           "%llu tokens a step; %d threads\n",
           (double)t->model.tensors->n_parameters / 1e6, (unsigned long long)c->model.n_layer,
           (unsigned long long)c->model.n_head, (unsigned long long)c->model.n_embd,
           (unsigned long long)c->model.block_size, tokenizer_vocab_size(t->tokenizer),
           tokenizer_kind(t->tokenizer), (unsigned long long)config_step_tokens(c),
           omp_get_max_threads());
    printf("%s: %llu training tokens, %llu for validation\n", c->data.dir,
           (unsigned long long)loader_split(t->loader)->tokens,
           (unsigned long long)(r->val ? r->val->tokens : 0));
    const char *why;
    const bool bf16 = c->train.precision == PRECISION_BF16;
    const enum gemm_backend library = gemm_backend_choice(bf16, &why);
    printf("products: %s (%s)", gemm_backend_name(library), why);
    if (bf16)
        printf(library == GEMM_ONEDNN_BF16 ? ", operands rounded to bf16"
                                           : ", operands rounded to bf16: slower than f32, as this "
                                             "machine has no fast instructions for it");
    printf("\n");
    char needs[24], copy[24], available[24];
    printf("needs %s of memory%s%s, %s were free\n", memory_text(t->needs, needs),
           r->buffer ? " and for the copy of a checkpoint " : "",
           r->buffer ? memory_text(r->buffer, copy) : "",
           t->available == SIZE_MAX ? "an unknown amount" : memory_text(t->available, available));
    if (!r->buffer)
        printf("too little for a copy: every checkpoint is written while training waits\n");
    fflush(stdout);
}

static void print_best(const struct run *r)
{
    const struct train_state *s = &r->trainer.state;
    char path[CONFIG_PATH_MAX + 16];
    struct error ignored;
    uint64_t step;
    const bool holds = !checkpoint_best_path(r->dir, path, sizeof path, &ignored) &&
                       !image_step(path, &step, &ignored) && step == s->best_step;
    printf("best validation loss %.4f after step %llu%s %s/best.h5\n", s->best_val_loss,
           (unsigned long long)s->best_step, holds ? ":" : ", whose weights are not in", r->dir);
}

static void conclude(const struct run *r)
{
    const struct train_state *s = &r->trainer.state;
    if (!isnan(s->best_val_loss))
        print_best(r);
    printf("newest checkpoint: %s\n", r->trainer.last_checkpoint);
    if (s->skipped)
        printf("steps that changed no weights: %llu, of them for spikes %llu; rollbacks: %llu\n",
               (unsigned long long)s->skipped, (unsigned long long)s->spikes,
               (unsigned long long)s->rollbacks);
    const double time = seconds() - r->started;
    printf("training waited %.2f s of %.0f s for checkpoints (%.2f%%), %.2f s for metrics, norms "
           "and samples (%.2f%%)\n",
           r->total_stall_s, time, 100 * r->total_stall_s / time, r->total_log_s,
           100 * r->total_log_s / time);
}

int command_train(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "CONFIG --out RUN",
        "Trains a model as CONFIG, an .ini file, says. Ctrl-C finishes the micro-step, saves and "
        "exits; --resume goes on.",
        NULL,
        NULL,
        NULL};
    struct arguments a = {.stop_at = UINT64_MAX};
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    struct error err;
    struct config config;
    if (load_config(&a, &config, &err))
        return print_error(&err);
    stop_on_signals(true);
    struct run run;
    const struct run_plan plan = {a.out, a.resume ? RUN_RESUME : RUN_FRESH, a.init, &a.allowed};
    if (run_open(&run, &config, &plan, &err))
        return print_error(&err);
    announce(&run);
    const int status =
        run_train(&run, a.stop_at < config.train.steps ? a.stop_at : config.train.steps, &err);
    log_end_line(&run.log);
    if (status)
        print_error(&err);
    else
        conclude(&run);
    run_close(&run);
    if (report_write_run(a.out, &err))
        print_error(&err);
    else
        printf("report: %s/report.html\n", a.out);
    return status ? 1 : 0;
}
