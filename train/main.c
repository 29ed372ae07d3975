/* main.c: handgrad, the command. */
#include "command.h"
#include <argp.h>
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

/* A thread that spins while it waits keeps the one it waits for from running wherever another program holds a core: nine tenths of the
 * speed, measured (docs/benchmark.md). The OpenMP runtimes read how long to spin before main, so the program starts itself again with
 * that set. Where it cannot, or the user has said how to wait, nothing happens. */
static void wait_briefly(char **argv)
{
#ifdef __clang__
    const char *const name = "KMP_BLOCKTIME", *const value = "0"; /* ms */
#else
    const char *const name = "GOMP_SPINCOUNT", *const value = "1000"; /* about 10 us */
#endif
    char self[4096];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (getenv("OMP_WAIT_POLICY") || getenv(name) || n < 0 || setenv(name, value, 1))
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
            wait_briefly(argv);
            snprintf(name, sizeof name, "handgrad %s", commands[i].name);
            argv[1] = name;
            return commands[i].run(argc - 1, argv + 1);
        }
    fprintf(stderr, "handgrad: '%s' is no command; `handgrad --help` lists them\n", argv[1]);
    return 2;
}
