/* report.c: handgrad report: a page of pictures of one run or several, or their metrics as CSV. */
#include "train/report/report.h"
#include "train/cli/command.h"
#include "train/cli/options.h"

enum { RUNS_MAX = 64 };

struct arguments {
    const char *runs[RUNS_MAX], *out;
    size_t n;
    bool csv;
};

static const struct argp_option options[] = {
    {"output", 'o', "FILE", 0,
     "Where to (RUN/report.html; of several runs report.html; --csv: standard output)", 0},
    {"csv", 'c', NULL, 0, "The metrics of every step as comma-separated values", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case 'o':
        a->out = arg;
        return 0;
    case 'c':
        a->csv = true;
        return 0;
    case ARGP_KEY_ARG:
        if (a->n == RUNS_MAX)
            argp_error(state, "more than %d runs", RUNS_MAX);
        a->runs[a->n++] = arg;
        return 0;
    case ARGP_KEY_END:
        if (!a->n)
            argp_error(state, "RUN is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int command_report(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "RUN…",
        "Writes one self-contained HTML page about a run, or about several to compare: losses, "
        "learning rate, gradient norms, speed, the norm of every tensor, samples, configuration, "
        "data "
        "and machine. It needs no network. `train` writes it too, when it ends.",
        NULL,
        NULL,
        NULL};
    struct arguments a = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    struct error err;
    const int status = (a.csv ? report_csv : report_write)(a.runs, a.n, a.out, &err);
    return status ? print_error(&err) : 0;
}
