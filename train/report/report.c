/* report.c: handgrad report: the page of pictures of one run or several, or their metrics as CSV. */
#include "train/report/report.h"
#include "base/atomic.h"
#include "train/cli/command.h"
#include "train/cli/options.h"
#include "train/report/page.h"
#include <stdlib.h>
#include <string.h>

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

static int read_runs(struct history *runs, const char *const *dirs, size_t n, struct error *err)
{
    int status = 0;
    for (size_t i = 0; i < n && !status; i++)
        status = history_read(&runs[i], dirs[i], err);
    return status;
}

int report_write(const char *const *dirs, size_t n, const char *path, struct error *err)
{
    struct history *runs = calloc(n, sizeof *runs);
    char *page = NULL;
    size_t size;
    int status = runs ? read_runs(runs, dirs, n, err) : fail(err, "report: no memory");
    if (status == 0) {
        FILE *out = open_memstream(&page, &size);
        if (!out || page_write(out, runs, n, false) | fclose(out))
            status = fail(err, "%s: no memory for the page", path);
    }
    if (status == 0)
        status = atomic_write(path, page, size, NULL, 0, err);
    free(page);
    for (size_t i = 0; runs && i < n; i++)
        history_close(&runs[i]);
    free(runs);
    return status;
}

int report_write_run(const char *dir, struct error *err)
{
    char *path;
    if (asprintf(&path, "%s/report.html", dir) < 0)
        return fail(err, "%s: no memory for its report", dir);
    const int status = report_write(&dir, 1, path, err);
    free(path);
    return status;
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
    int status;
    if (a.csv)
        status = report_csv(a.runs, a.n, a.out, &err);
    else if (a.n == 1 && !a.out)
        status = report_write_run(a.runs[0], &err);
    else
        status = report_write(a.runs, a.n, a.out ? a.out : "report.html", &err);
    return status ? complain(&err) : 0;
}
