/* main.c: handgrad, the command. */
#include "base/omp_wait.h"
#include "base/thread.h"
#include "model/gemm/gemm_backend.h"
#include "train/cli/command.h"
#include <argp.h>
#include <poll.h>
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
    fprintf(out, "Usage: handgrad COMMAND …\n\nTrains small GPT-style language models on CPUs, "
                 "every gradient derived by hand.\n\n");
    for (int i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fprintf(out, "\n`handgrad COMMAND --help` tells more.\n");
}

/* OpenBLAS reads before main which kernels to use. Where it does not know the processor, which costs all but an eighth of the speed,
 * measured (docs/performance.md), the program says it and starts itself again; where it cannot, nothing happens. */
static void start_again_settled(char **argv)
{
    const char *const core = gemm_openblas_core();
    char self[4096];
    const ssize_t n = core ? readlink("/proc/self/exe", self, sizeof self - 1) : -1;
    if (n < 0 || setenv("OPENBLAS_CORETYPE", core, 1))
        return;
    self[n] = 0;
    cpu_set_t all; /* the program that starts shall have them, not the first alone */
    if (thread_processors(&all))
        sched_setaffinity(0, sizeof all, &all);
    execv(self, argv);
}

/* A pipe whose reader has left, as head does with what it wanted. */
static bool is_unread(int fd)
{
    struct pollfd p = {.fd = fd};
    return poll(&p, 1, 0) == 1 && p.revents & POLLERR;
}

/* Whatever a command prints, and --help: what was promised by exit 0 has to be there. (The default action of SIGPIPE ends a command
 * before this; training goes on without a reader.) */
static void check_output(int status, void *unused)
{
    (void)unused;
    if (status == 0 && (fflush(stdout) || ferror(stdout)) && !is_unread(STDOUT_FILENO)) {
        fprintf(stderr, "handgrad: standard output cannot be written\n");
        _exit(1);
    }
}

/* A name that is none would be ignored, and its results taken for those of the library that was meant. */
static bool library_is_known(void)
{
    const char *wish = getenv("HANDGRAD_GEMM");
    if (!wish || !*wish || !strcmp(wish, "openblas") || !strcmp(wish, "onednn"))
        return true;
    fprintf(stderr, "handgrad: HANDGRAD_GEMM: '%s' is neither openblas nor onednn\n", wish);
    return false;
}

int main(int argc, char **argv)
{
    on_exit(check_output, NULL);
    argp_err_exit_status = 2;
    if (!library_is_known())
        return 2;
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
            if (commands[i].run != command_bench) /* whose processes do so themselves */
                omp_wait_adapt();
            snprintf(name, sizeof name, "handgrad %s", commands[i].name);
            argv[1] = name;
            return commands[i].run(argc - 1, argv + 1);
        }
    fprintf(stderr, "handgrad: '%s' is no command; `handgrad --help` lists them\n", argv[1]);
    return 2;
}
