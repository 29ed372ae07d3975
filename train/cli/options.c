/* options.c: see options.h. */
#include "train/cli/options.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t option_u64(struct argp_state *state, const char *name, const char *text, uint64_t min,
                    uint64_t max)
{
    char *end;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (errno || end == text || *end || strchr(text, '-') || value < min || value > max) {
        if (max == UINT64_MAX)
            argp_error(state, "%s: '%s' is not a whole number of at least %llu", name, text,
                       (unsigned long long)min);
        else
            argp_error(state, "%s: '%s' is not a whole number from %llu to %llu", name, text,
                       (unsigned long long)min, (unsigned long long)max);
    }
    return value;
}

double option_double(struct argp_state *state, const char *name, const char *text, double min,
                     double max)
{
    char *end;
    const double value = strtod(text, &end);
    if (end == text || *end || !(value >= min && value <= max))
        argp_error(state, "%s: '%s' is not a number from %g to %g", name, text, min, max);
    return value;
}

void settings_add(struct settings *s, const char *assignment, struct argp_state *state)
{
    if (s->count == sizeof s->list / sizeof *s->list)
        argp_error(state, "--set: more than %d of them; put them into a file", s->count);
    s->list[s->count++] = assignment;
}

int settings_load(const struct settings *s, struct config *config, const char *path,
                  struct error *err)
{
    if (config_load(config, path, err))
        return -1;
    for (int i = 0; i < s->count; i++)
        if (config_set(config, s->list[i], err))
            return -1;
    return config_check(config, path, err);
}

int print_error(const struct error *err)
{
    fprintf(stderr, "handgrad: %s\n", err->text);
    return 1;
}
