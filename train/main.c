/* main.c: handgrad, the command. */
#include "command.h"
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
            snprintf(name, sizeof name, "handgrad %s", commands[i].name);
            argv[1] = name;
            return commands[i].run(argc - 1, argv + 1);
        }
    fprintf(stderr, "handgrad: '%s' is no command; `handgrad --help` lists them\n", argv[1]);
    return 2;
}
