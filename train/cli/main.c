/* main.c: the handgrad command. */
#include "base/omp_wait.h"
#include "base/suggest.h"
#include "base/thread.h"
#include "model/gemm/gemm_backend.h"
#include "train/cli/command.h"
#include "train/json.h"
#include <argp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct entry {
    const char *name, *summary;
    command *run;
} commands[] = {
    {"tokenize", "Convert text to shards of tokens", command_tokenize},
    {"tokens", "Show the tokens of a text, decode ids, export a tokenizer", command_tokens},
    {"init", "Write a checkpoint with initial weights", command_init},
    {"train", "Train a model, or resume a run", command_train},
    {"eval", "Compute the loss over a split", command_eval},
    {"sample", "Generate text", command_sample},
    {"grad", "Compute loss, logits and all gradients of one batch", command_grad},
    {"gradcheck", "Check every derivative", command_gradcheck},
    {"lens", "Show predictions, attention and gradients for a text", command_lens},
    {"report", "Write an HTML report of one or several runs", command_report},
    {"serve", "Serve the report, updated while a run trains", command_serve},
    {"inspect", "Describe a checkpoint, shard or tokenizer", command_inspect},
    {"bench", "Measure this machine and the speed of training on it", command_bench},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void print_usage(FILE *out)
{
    fprintf(out, "Usage: handgrad COMMAND [OPTION...] ...\n"
                 "  or:  handgrad --version\n\n"
                 "Trains small GPT-style language models on CPUs, with every gradient derived by "
                 "hand.\n\n");
    for (int i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fprintf(out, "\nhandgrad COMMAND --help describes a command.\n");
}

/* OpenBLAS selects its kernels before main. If it does not recognise the processor and falls back
 * to its oldest kernels (an eighth of the speed: docs/performance.md), this sets OPENBLAS_CORETYPE
 * and executes the program again. On failure, the program continues as it is. */
static void restart_with_openblas_kernels(char **argv)
{
    const char *const core = gemm_openblas_core();
    char self[4096];
    const ssize_t n = core ? readlink("/proc/self/exe", self, sizeof self - 1) : -1;
    if (n < 0 || setenv("OPENBLAS_CORETYPE", core, 1))
        return;
    self[n] = 0;
    /* OpenMP may have bound this thread to one processor, which exec would inherit. */
    cpu_set_t all;
    if (thread_processors(&all))
        sched_setaffinity(0, sizeof all, &all);
    execv(self, argv);
}

/* Whether fd is a pipe whose reader has exited, such as head. */
static bool reader_has_left(int fd)
{
    struct pollfd p = {.fd = fd};
    return poll(&p, 1, 0) == 1 && p.revents & POLLERR;
}

/* At exit: status 0 promises that standard output was written. If the reader of a pipe has left,
 * SIGPIPE normally ends the command earlier; training ignores it. */
static void check_output(int status, void *unused)
{
    (void)unused;
    if (status == 0 && (fflush(stdout) || ferror(stdout)) && !reader_has_left(STDOUT_FILENO)) {
        fprintf(stderr, "handgrad: standard output cannot be written\n");
        _exit(1);
    }
}

/* An unknown name would be ignored, and the results attributed to the wrong library. */
static bool gemm_setting_is_valid(void)
{
    const char *name = getenv("HANDGRAD_GEMM");
    if (!name || !*name || !strcmp(name, "openblas") || !strcmp(name, "onednn"))
        return true;
    fprintf(stderr, "handgrad: HANDGRAD_GEMM: '%s': expected openblas or onednn\n", name);
    return false;
}

static const struct entry *find_command(const char *name)
{
    for (int i = 0; i < COMMANDS; i++)
        if (!strcmp(name, commands[i].name))
            return &commands[i];
    return NULL;
}

int main(int argc, char **argv)
{
    on_exit(check_output, NULL);
    argp_err_exit_status = 2;
    if (!gemm_setting_is_valid())
        return 2;
    if (argc < 2) {
        print_usage(stderr);
        return 2;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        print_usage(stdout);
        return 0;
    }
    const bool version = !strcmp(argv[1], "--version");
    const struct entry *c = find_command(argv[1]);
    if (!c && !version) {
        const char *names[COMMANDS], *nearest;
        for (int i = 0; i < COMMANDS; i++)
            names[i] = commands[i].name;
        nearest = suggest_nearest(argv[1], names, COMMANDS);
        fprintf(
            stderr, "handgrad: '%s': unknown command; %s%s%shandgrad --help lists the commands\n",
            argv[1], nearest ? "did you mean " : "", nearest ? nearest : "", nearest ? "? " : "");
        return 2;
    }
    restart_with_openblas_kernels(argv);
    if (version) {
        print_version();
        return 0;
    }
    if (c->run != command_bench) /* whose child processes call it themselves */
        omp_wait_adapt();
    if (c->run != command_train && c->run != command_serve) /* which continue without the JSON */
        json_require_memory();
    char name[64];
    snprintf(name, sizeof name, "handgrad %s", c->name);
    argv[1] = name;
    return command_run(c->run, argc - 1, argv + 1);
}
