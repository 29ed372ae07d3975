/* main.c: handgrad, the command. */
#include "../model/gemm_backend.h"
#include "command.h"
#include <argp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"tokenize", "text to shards of tokens", command_tokenize},
    {"tokens", "a text's tokens and ids, and back", command_tokens},
    {"init", "a step-0 checkpoint", command_init},
    {"train", "train, watch, stop, resume", command_train},
    {"eval", "the loss over a whole split", command_eval},
    {"sample", "let a checkpoint write", command_sample},
    {"grad", "loss, logits and every gradient of one batch", command_grad},
    {"gradcheck", "prove every derivative", command_gradcheck},
    {"lens", "what a model sees in a text", command_lens},
    {"report", "a page of pictures of a run", command_report},
    {"serve", "the same page, live", command_serve},
    {"inspect", "what a checkpoint or shard holds", command_inspect},
    {"bench", "what this machine could do, and what training reaches on it", command_bench},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static void usage(FILE *out)
{
    fprintf(out,
            "Usage: handgrad COMMAND …\n\nTrains small GPT-style language models on CPUs, every gradient derived by hand.\n\n");
    for (int i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fprintf(out, "\n`handgrad COMMAND --help` tells more.\n");
}

/* Two things are read by libraries before main, so where they are not set the program sets them and starts itself again; where it cannot,
 * nothing happens.
 *
 * How long OpenMP's threads spin: one that spins while it waits keeps the one it waits for from running wherever another program holds a
 * core: nine tenths of the speed, measured (docs/benchmark.md). The user may have said how to wait.
 *
 * Which kernels OpenBLAS uses, where it does not know the processor: an eighth of the speed, measured (docs/performance.md). */
static void start_again_settled(char **argv)
{
#ifdef __clang__
    const char *const name = "KMP_BLOCKTIME", *const value = "0"; /* ms */
#else
    const char *const name = "GOMP_SPINCOUNT", *const value = "1000"; /* about 10 us */
#endif
    const char *const core = gemm_openblas_core();
    char self[4096];
    const bool waits = getenv("OMP_WAIT_POLICY") || getenv(name);
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if ((waits && !core) || n < 0 || (!waits && setenv(name, value, 1)) || (core && setenv("OPENBLAS_CORETYPE", core, 1)))
        return;
    self[n] = 0;
    execv(self, argv);
}

int main(int argc, char **argv)
{
    argp_err_exit_status = 2;
    if (argc < 2) {
        usage(stderr);
        return 2;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        usage(stdout);
        return 0;
    }
    for (int i = 0; i < COMMANDS; i++)
        if (!strcmp(argv[1], commands[i].name)) {
            char name[64];
            start_again_settled(argv);
            snprintf(name, sizeof name, "handgrad %s", commands[i].name);
            argv[1] = name;
            return commands[i].run(argc - 1, argv + 1);
        }
    fprintf(stderr, "handgrad: '%s' is no command; `handgrad --help` lists them\n", argv[1]);
    return 2;
}
