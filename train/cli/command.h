/* command.h: the subcommands of handgrad. argv[0] is "handgrad NAME". A command returns the
 * exit status: 0, or another value after a failure. main
 * checks that standard output was written. */
#pragma once

#include "train/cli/options.h"

command command_tokenize, command_tokens, command_init, command_train, command_eval, command_sample,
    command_grad, command_gradcheck, command_lens, command_report, command_serve, command_inspect,
    command_bench;

/* Prints version, commit, compiler, instruction sets, processor, threads and libraries, one per
 * line. */
void print_version(void);
