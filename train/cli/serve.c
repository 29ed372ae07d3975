/* serve.c: handgrad serve: the live page of a run. */
#include "train/cli/command.h"
#include "train/cli/options.h"
#include "train/serve/server.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { RUNS_MAX = 64, PORT = 8123 };

struct arguments {
    const char *runs[RUNS_MAX], *address;
    size_t n;
    uint16_t port;
};

enum { BIND = 1000 };

static const struct argp_option options[] = {
    {"port", 'p', "PORT", 0, "Where to listen (8123; 0: any that is free)", 0},
    {"bind", BIND, "ADDRESS", 0,
     "The interface to listen on (127.0.0.1: this machine alone). There is no password: whoever "
     "reaches the address may look",
     0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case 'p':
        a->port = (uint16_t)option_u64(state, "--port", arg, 0, UINT16_MAX);
        return 0;
    case BIND:
        a->address = arg;
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

static int open_runs(struct server *s, const struct arguments *a, struct error *err)
{
    s->runs = calloc(a->n, sizeof *s->runs);
    if (!s->runs)
        return fail(err, "no memory to serve");
    for (; s->n < a->n; s->n++)
        if (history_open(&s->runs[s->n], a->runs[s->n], err))
            return -1;
    return 0;
}

int command_serve(int argc, char **argv)
{
    static const struct argp argp = {options,
                                     parse,
                                     "RUN…",
                                     "Shows a run in the browser as it goes: the page that "
                                     "`handgrad report` writes, live. It only "
                                     "reads what training writes. Ctrl-C ends it.",
                                     NULL,
                                     NULL,
                                     NULL};
    struct arguments a = {.address = "127.0.0.1", .port = PORT};
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    struct error err;
    struct server s = {0};
    sigset_t stop;
    int signal;
    setpriority(PRIO_PROCESS, 0, 10); /* training goes first */
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stop,
                    NULL); /* before the server's threads are made: they inherit it */
    int status = open_runs(&s, &a, &err) || server_start(&s, a.address, a.port, &err);
    if (status == 0) {
        printf("%s  (Ctrl-C ends it)\n", s.url);
        fflush(stdout);
        sigwait(&stop, &signal);
    }
    server_stop(&s);
    for (size_t i = 0; i < s.n; i++)
        history_close(&s.runs[i]);
    free(s.runs);
    return status ? print_error(&err) : 0;
}
