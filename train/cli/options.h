/* options.h: how the subcommands read their command lines. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "base/error.h"
#include "train/config/config.h"
#include <argp.h>
#include <stdint.h>

/* Numbers of an option: the whole string, in the range, or one line and exit 2, as argp does for its own errors. */
uint64_t option_u64(struct argp_state *state, const char *name, const char *text, uint64_t min,
                    uint64_t max);
double option_double(struct argp_state *state, const char *name, const char *text, double min,
                     double max);

/* The --set options of a command, in their order. */
struct settings {
    const char *list[64];
    int count;
};
void settings_add(struct settings *s, const char *assignment, struct argp_state *state);
/* The file, then the settings, then config_check. */
int settings_load(const struct settings *s, struct config *config, const char *path,
                  struct error *err);

/* Prints "handgrad: <line>" and returns 1, the exit code. */
int print_error(const struct error *err);

#endif
