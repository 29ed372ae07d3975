/* train.c: handgrad train. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/stop.h"
#include "model/gemm/gemm_backend.h"
#include "train/checkpoint/image.h"
#include "train/checkpoint/run_directory.h"
#include "train/cli/command.h"
#include "train/cli/train_text.h"
#include "train/lens/sample_attention.h"
#include "train/report/report.h"
#include "train/run.h"
#include <inttypes.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>

struct arguments {
    struct operand_list inputs;
    const char *config; /* NULL: inputs are texts */
    const char *out, *init;
    char default_out[RUN_PATH_MAX];
    struct string_list settings, allow;
    struct allowed allowed; /* parsed from allow */
    bool resume, keys;
    uint64_t stop_at;
    double minutes;
};

static int check(struct arguments *a, struct error *err)
{
    if (a->keys)
        return 0;
    if (a->inputs.n == 1 && is_configuration(a->inputs.items[0]))
        a->config = a->inputs.items[0];
    const bool from_text = a->inputs.n > 0 && !a->config;
    if (from_text && (a->resume || a->init))
        return fail(err, "'%s' is a text: --resume and --init take a configuration",
                    a->inputs.items[0]);
    if (a->minutes && !from_text)
        return fail(err, "--minutes: only valid with TEXT");
    if (from_text && !a->out)
        default_run(a->default_out, a->inputs.items[0]), a->out = a->default_out;
    if (!a->out)
        return fail(err, "--out RUN is missing");
    if (!a->inputs.n && !a->resume)
        return fail(err, "CONFIG or TEXT is missing");
    if (a->resume && a->init)
        return fail(err, "--init and --resume: expected only one of them");
    if (a->allow.n && !a->resume)
        return fail(err, "--allow: only valid with --resume");
    for (size_t i = 0; i < a->allow.n; i++)
        if (allow(&a->allowed, a->allow.items[i], err))
            return -1;
    return 0;
}

/* Without CONFIG, a resumed run uses the configuration in its run folder. */
static int load_config(const struct arguments *a, struct config *config, struct error *err)
{
    char path[CONFIG_PATH_MAX + 16];
    if (a->inputs.n && !a->config)
        return prepare_text(config, &a->inputs, &a->settings, a->out, a->minutes ? a->minutes : 10,
                            err);
    snprintf(path, sizeof path, "%s/config.ini", a->out);
    return settings_load(&a->settings, config, a->config ? a->config : path, err);
}

static void print_products(bool bf16)
{
    const char *why;
    const enum gemm_backend library = gemm_backend_choice(bf16, &why);
    printf("matrix products: %s (%s)", gemm_backend_name(library), why);
    if (bf16)
        printf(library == GEMM_ONEDNN_BF16
                   ? ", operands rounded to bf16"
                   : ", operands rounded to bf16; slower than f32, because this machine has no "
                     "fast bf16 instructions");
    putchar('\n');
}

static void print_memory(const struct run *r)
{
    const struct trainer *t = &r->trainer;
    char needs[24], copy[24], available[24];
    printf("memory: needs %s%s%s; %s available\n", memory_text(t->needs, needs),
           r->buffer ? ", and for the copy of a checkpoint " : "",
           r->buffer ? memory_text(r->buffer, copy) : "",
           t->available == SIZE_MAX ? "unknown amount" : memory_text(t->available, available));
    if (!r->buffer)
        printf("too little memory for the copy of a checkpoint: training waits while each one is "
               "written\n");
}

static void print_setup(const struct run *r)
{
    const struct trainer *t = &r->trainer;
    const struct config *c = &t->config;
    printf("%.2f M parameters: %" PRIu64 " layers, %" PRIu64 " heads, width %" PRIu64
           ", block size %" PRIu64 ", vocabulary of %zu (%s); %" PRIu64
           " tokens per step; %d threads\n",
           t->model.tensors->n_parameters / 1e6, c->model.n_layer, c->model.n_head, c->model.n_embd,
           c->model.block_size, t->tokenizer->vocab_size, t->tokenizer->kind, config_step_tokens(c),
           omp_get_max_threads());
    printf("%s: %" PRIu64 " training tokens, %" PRIu64 " validation tokens\n", c->data.dir,
           loader_split(t->loader)->tokens, r->val ? r->val->tokens : 0);
    print_products(c->train.precision == PRECISION_BF16);
    print_memory(r);
    fflush(stdout);
}

static void print_best(const struct run *r)
{
    const struct train_state *s = &r->trainer.state;
    char path[RUN_PATH_MAX];
    struct error ignored;
    uint64_t step;
    const bool holds =
        !image_step(run_path(path, r->dir, "best.h5"), &step, &ignored) && step == s->best_step;
    printf("best validation loss %.4f after step %llu%s %s/best.h5\n", s->best_val_loss,
           (unsigned long long)s->best_step, holds ? ":" : ", whose weights are not in", r->dir);
}

static void print_summary(const struct run *r)
{
    const struct train_state *s = &r->trainer.state;
    if (!isnan(s->best_val_loss))
        print_best(r);
    printf("newest checkpoint: %s\n", r->trainer.last_checkpoint);
    if (s->skipped)
        printf("steps without update: %" PRIu64 ", of which loss spikes: %" PRIu64
               "; rollbacks: %" PRIu64 "\n",
               s->skipped, s->spikes, s->rollbacks);
    const double time = seconds() - r->started;
    printf("of %.0f s, training waited %.2f s (%.2f%%) for checkpoints and %.2f s (%.2f%%) for "
           "metrics, norms and samples\n",
           time, r->total_stall_s, 100 * r->total_stall_s / time, r->total_log_s,
           100 * r->total_log_s / time);
}

int command_train(int argc, char **argv, struct error *err)
{
    struct arguments a = {.stop_at = UINT64_MAX};
    const struct option_spec options[] = {
        {"CONFIG|TEXT", .operands = &a.inputs, .optional = true},
        {"out", 'o', "RUN",
         "Run folder: config.ini, metrics.jsonl, ckpt-STEP.h5, best.h5, report.html (for "
         "NAME.txt: NAME-run)",
         .string = &a.out},
        {"set", 0, "SECTION.KEY=VALUE", "Override a key of CONFIG; may be repeated",
         .list = &a.settings},
        {"init", 0, "CKPT.h5|RUN", "Start at step 0 with the weights of this checkpoint",
         .string = &a.init},
        {"resume", 0, NULL,
         "Resume the run in RUN from its newest checkpoint; the result is bit-identical to an "
         "uninterrupted run. Without CONFIG, RUN/config.ini is used",
         .flag = &a.resume},
        {"allow", 0, "LIST",
         "With --resume: keys that may differ from the checkpoint, such as data,lr; any other "
         "difference is an error",
         .list = &a.allow},
        {"stop-at", 0, "STEP",
         "Save and stop after STEP steps in total; the learning-rate schedule still follows "
         "train.steps",
         .count = &a.stop_at, .min = 1},
        {"minutes", 0, "M", "For TEXT: about how long to train (10)", .number = &a.minutes,
         .low = 0.01, .high = 1e6},
        {"keys", 0, NULL, "List every configuration key with its default and meaning",
         .flag = &a.keys},
        {0}};
    parse_command_line(
        argc, argv, options, "CONFIG --out RUN\nTEXT…",
        "Trains a model as described by CONFIG, an INI file, or the name of a recipe "
        "such as demo.ini. Ctrl-C finishes "
        "the current micro-batch, saves a checkpoint and exits; --resume "
        "continues from there.\v"
        "TEXT is a text file or a folder of text files: it is tokenized to RUN/data, "
        "and the size of the vocabulary, the model and the number of steps are "
        "chosen by its length and the speed of the machine. --set changes what is "
        "chosen.");
    if (check(&a, err))
        return WRONG_USAGE;
    if (a.keys) {
        config_help(stdout);
        return 0;
    }
    struct config config;
    stop_on_signals(true);
    if (load_config(&a, &config, err))
        return -1;
    struct run run;
    char path[RUN_PATH_MAX];
    if (a.init && !(a.init = checkpoint_of(path, a.init, err)))
        return -1;
    const struct run_plan plan = {a.out, a.resume, a.init, &a.allowed};
    if (run_open(&run, &config, &plan, err))
        return -1;
    print_setup(&run);
    const int status =
        run_train(&run, a.stop_at < config.train.steps ? a.stop_at : config.train.steps, err);
    log_end_line(&run.log);
    if (!status)
        print_summary(&run);
    run_close(&run);
    struct error problem;
    cJSON *attention = sample_attention(a.out);
    if (report_write((const char *[]){a.out}, 1, NULL, attention, &problem))
        print_error(&problem);
    else
        printf("report: %s/report.html\n", a.out);
    cJSON_Delete(attention);
    return status;
}
