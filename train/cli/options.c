/* options.c: see options.h. */
#include "train/cli/options.h"
#include "base/utf8.h"
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { OPTIONS_MAX = 32, FIRST_LONG_KEY = 256 /* above all characters */ };

static uint64_t parse_count(struct argp_state *state, const struct option_spec *o, const char *text)
{
    const uint64_t max = o->max ? o->max : UINT64_MAX;
    char *end;
    uint32_t chosen;
    if (o->random && !strcmp(text, "random") &&
        getrandom(&chosen, sizeof chosen, 0) == sizeof chosen) {
        fprintf(stderr, "handgrad: --%s %" PRIu32 "\n", o->name, chosen);
        return chosen;
    }
    errno = 0;
    const uint64_t value = strtoull(text, &end, 10);
    if (errno || end == text || *end || strchr(text, '-') || value < o->min || value > max)
        argp_error(state, "--%s: '%s': expected a whole number from %" PRIu64 " to %" PRIu64 "%s",
                   o->name, text, o->min, max, o->random ? ", or random" : "");
    return value;
}

static double parse_number(struct argp_state *state, const struct option_spec *o, const char *text)
{
    char *end;
    const double value = strtod(text, &end);
    if (end == text || *end || !(value >= o->low && value <= o->high))
        argp_error(state, "--%s: '%s': expected a number from %g to %g", o->name, text, o->low,
                   o->high);
    return value;
}

static int parse_choice(struct argp_state *state, const struct option_spec *o, const char *text)
{
    char expected[256] = "";
    int i = 0;
    for (; o->choices[i]; i++) {
        if (!strcmp(o->choices[i], text))
            return i;
        const size_t n = strlen(expected);
        snprintf(expected + n, sizeof expected - n, "%s%s",
                 !i                  ? ""
                 : o->choices[i + 1] ? ", "
                                     : " or ",
                 o->choices[i]);
    }
    argp_error(state, "--%s: '%s': expected %s", o->name, text, expected);
    return i;
}

static void store_option(struct argp_state *state, const struct option_spec *o, const char *text)
{
    if (o->flag)
        *o->flag = true;
    else if (o->string)
        *o->string = text;
    else if (o->count)
        *o->count = parse_count(state, o, text);
    else if (o->number)
        *o->number = parse_number(state, o, text);
    else if (o->choice)
        *o->choice = parse_choice(state, o, text);
    else if (o->list->n == STRING_LIST_MAX)
        argp_error(state, "--%s: given more than %d times", o->name, STRING_LIST_MAX);
    else
        o->list->items[o->list->n++] = text;
}

static bool is_operand(const struct option_spec *o)
{
    return o->operand || o->operands;
}

static void store_operands(struct argp_state *state, const struct option_spec *o)
{
    int i = state->next;
    for (; o->name && i < state->argc; o++)
        if (o->operand) {
            *o->operand = state->argv[i++];
        } else if (o->operands) {
            *o->operands = (struct operand_list){state->argv + i, state->argc - i};
            i = state->argc;
        }
    if (i < state->argc)
        argp_error(state, "'%s': unexpected argument", state->argv[i]);
}

static void check_required(struct argp_state *state, const struct option_spec *o)
{
    for (; o->name; o++)
        if (is_operand(o) && !o->optional && (o->operand ? !*o->operand : !o->operands->n))
            argp_error(state, "%s is missing", o->name);
        else if (o->required && !*o->string)
            argp_error(state, "--%s %s is missing", o->name, o->argument);
        else if (o->required && !**o->string)
            argp_error(state, "--%s: expected %s, got ''", o->name, o->argument);
}

static int key_of(const struct option_spec *options, size_t i)
{
    return options[i].key ? options[i].key : FIRST_LONG_KEY + (int)i;
}

static error_t parse(int key, char *text, struct argp_state *state)
{
    const struct option_spec *options = state->input;
    if (key == ARGP_KEY_ARGS) {
        store_operands(state, options);
        return 0;
    }
    if (key == ARGP_KEY_END) {
        check_required(state, options);
        return 0;
    }
    for (size_t i = 0; options[i].name; i++)
        if (key == key_of(options, i)) {
            store_option(state, &options[i], text);
            return 0;
        }
    return ARGP_ERR_UNKNOWN;
}

void parse_command_line(int argc, char **argv, const struct option_spec *options, const char *usage,
                        const char *description)
{
    struct argp_option list[OPTIONS_MAX] = {0};
    for (size_t i = 0, n = 0; options[i].name && n < OPTIONS_MAX - 1; i++) {
        const struct option_spec *o = &options[i];
        const int group = i + 1; /* keeps the order of the table in --help */
        if (!is_operand(o))
            list[n++] =
                (struct argp_option){o->name, key_of(options, i), o->argument, 0, o->help, group};
    }
    const struct argp argp = {list, parse, usage, description, NULL, NULL, NULL};
    argp_err_exit_status = 2;
    argp_parse(&argp, argc, argv, 0, NULL, (void *)options);
}

int settings_apply(const struct string_list *settings, struct config *config, const char *name,
                   struct error *err)
{
    for (size_t i = 0; i < settings->n; i++)
        if (config_set(config, settings->items[i], err))
            return -1;
    char changed[PATH_MAX + 16];
    snprintf(changed, sizeof changed, "%s with --set", name);
    return config_check(config, settings->n ? changed : name, err);
}

/* The path of a configuration. If there is no such file here, the name may be that of a recipe,
 * next to the program or where it was installed. */
static const char *find_configuration(char found[PATH_MAX], const char *name)
{
    static const char *const places[] = {"configs", "../share/handgrad/configs"};
    char program[PATH_MAX];
    const ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (strchr(name, '/') || !access(name, F_OK) || n <= 0)
        return name;
    program[n] = '\0';
    *strrchr(program, '/') = '\0';
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (snprintf(found, PATH_MAX, "%s/%s/%s", program, places[i], name) < PATH_MAX &&
            !access(found, R_OK))
            return found;
    return name;
}

int settings_load(const struct string_list *settings, struct config *config, const char *path,
                  struct error *err)
{
    char found[PATH_MAX];
    path = find_configuration(found, path);
    return config_load(config, path, err) || settings_apply(settings, config, path, err);
}

int print_error(const struct error *err)
{
    fprintf(stderr, "handgrad: %s\n", err->text);
    return 1;
}

void print_escaped(const char *bytes, size_t n, char quote)
{
    for (size_t i = 0; i < n;) {
        uint32_t c = 0;
        const char byte = bytes[i];
        const int length = utf8_decode(bytes + i, n - i, &c);
        const bool control = c < 0x20 || (c >= 0x7f && c < 0xa0);
        if (byte == '\n' || byte == '\t')
            printf("\\%c", byte == '\n' ? 'n' : 't');
        else if (quote && (byte == quote || byte == '\\'))
            printf("\\%c", byte);
        else if (length > 0 && !control)
            fwrite(bytes + i, 1, length, stdout);
        else
            for (int k = 0; k < (length > 0 ? length : 1); k++)
                printf("\\x%02x", (unsigned char)bytes[i + k]);
        i += length > 0 ? length : 1;
    }
}

int command_run(command *run, int argc, char **argv)
{
    struct error err = {0};
    const int status = run(argc, argv, &err);
    if (!status || !*err.text)
        return status;
    if (status != WRONG_USAGE)
        return print_error(&err);
    fprintf(stderr, "%s: %s\nTry `%s --help' for more information.\n", argv[0], err.text, argv[0]);
    return WRONG_USAGE;
}
