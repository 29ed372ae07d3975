/* command.h: the subcommands of handgrad. argv[0] is "handgrad NAME". A command prints errors to
 * stderr as "handgrad: …" and returns the exit status: 0, 1 (failure), or 2 (wrong usage). main
 * checks that standard output was written. */
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
