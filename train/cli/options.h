/* options.h: command lines described by tables. A command lists its options and operands together
 * with the variables that take their values. parse_command_line, built on argp, fills them in and
 * prints --help. Also what several commands print. */
#pragma once

#include "base/error.h"
#include "train/config/config.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The values of an option that may be repeated, in order. */
enum { STRING_LIST_MAX = 64 };
struct string_list {
    const char *items[STRING_LIST_MAX];
    size_t n;
};

/* Operands at the end of a command line: a part of argv. */
struct operand_list {
    char **items;
    size_t n;
};

struct option_spec {
    const char *name;     /* the long name, without dashes; of an operand, the name in messages */
    char key;             /* the short name, or 0 */
    const char *argument; /* the value as --help shows it; NULL for a flag */
    const char *help;
    bool required; /* for string options, which are optional by default */
    bool optional; /* for operands, which are required by default */
    /* Where the value goes. Exactly one of these pointers is set; it determines the type. */
    const char **operand;
    struct operand_list *operands; /* one or more, after all others */
    bool *flag;
    const char **string;
    struct string_list *list;
    uint64_t *count, min, max; /* max 0: no limit */
    bool random;               /* of a count: "random" chooses and reports one */
    double *number, low, high;
    int *choice;                /* the index of the value in choices */
    const char *const *choices; /* ends with NULL */
};

/* Sets the variables of a table, which ends with {0}. `usage` is what follows the options in the
 * first line of --help, the description what --help prints above the options, then \v and what it
 * prints below. On wrong usage, prints a message and exits with status 2. */
void parse_command_line(int argc, char **argv, const struct option_spec *options, const char *usage,
                        const char *description);

/* Applies --set assignments and checks the result; `name` is that of the configuration. */
int settings_apply(const struct string_list *settings, struct config *config, const char *name,
                   struct error *err);
/* Loads the configuration file, which may be the name of a recipe of configs/, applies the --set
 * assignments and checks the result. */
int settings_load(const struct string_list *settings, struct config *config, const char *path,
                  struct error *err);

/* Prints "handgrad: " and the message to stderr. Returns 1, the exit status. */
int print_error(const struct error *err);

/* Prints bytes with \n and \t for line ends and tabs, and \xNN for other control characters and
 * invalid UTF-8. If `quote` is not 0, that character and the backslash are escaped as well. */
void print_escaped(const char *bytes, size_t n, char quote);

enum { WRONG_USAGE = 2 };

typedef int command(int argc, char **argv, struct error *err);

/* Runs a command and prints its error, if it has filled in one. Returns the exit status. */
int command_run(command *run, int argc, char **argv);
