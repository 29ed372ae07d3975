/* command.h: the subcommands of handgrad. argv[0] is "handgrad NAME". A command prints errors to
 * stderr as "handgrad: …" and returns the exit status: 0, 1 (failure), or 2 (wrong usage). main
 * checks that standard output was written. */
#pragma once

#include "train/cli/options.h"

typedef int command(int argc, char **argv);

command command_tokenize, command_tokens, command_init, command_train, command_eval, command_sample,
    command_grad, command_gradcheck, command_lens, command_report, command_serve, command_inspect,
    command_bench;

/* Prints version, commit, compiler, instruction sets, processor, threads and libraries, one per
 * line. */
void print_version(void);
