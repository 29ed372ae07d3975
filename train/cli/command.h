/* command.h: the subcommands of handgrad. Each takes its own argv (argv[0] is "handgrad NAME"), parses it with argp, prints
 * "handgrad: <line>" to stderr where something is wrong, and returns the exit code: 0, 1 (failed) or 2 (misused).
 * Whether standard output could be written is asked by main, for all. */
#ifndef COMMAND_H
#define COMMAND_H

int command_tokenize(int argc, char **argv);
int command_tokens(int argc, char **argv);
int command_init(int argc, char **argv);
int command_train(int argc, char **argv);
int command_eval(int argc, char **argv);
int command_sample(int argc, char **argv);
int command_grad(int argc, char **argv);
int command_gradcheck(int argc, char **argv);
int command_report(int argc, char **argv);
int command_serve(int argc, char **argv);
int command_lens(int argc, char **argv);
int command_inspect(int argc, char **argv);
int command_bench(int argc, char **argv);

#endif
