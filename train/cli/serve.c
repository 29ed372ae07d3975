/* serve.c: handgrad serve. */
#include "train/cli/command.h"
#include "train/serve/server.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

static int open_runs(struct server *s, const struct operand_list *runs, struct error *err)
{
    s->runs = calloc(runs->n, sizeof *s->runs);
    if (!s->runs)
        return fail(err, "out of memory");
    for (; s->n < runs->n; s->n++)
        if (history_open(&s->runs[s->n], runs->items[s->n], err))
            return -1;
    return 0;
}

int command_serve(int argc, char **argv, struct error *err)
{
    struct operand_list runs = {0};
    uint64_t port = 8123;
    const char *address = "127.0.0.1";
    const struct option_spec options[] = {
        {"RUN", .operands = &runs},
        {"port", 'p', "PORT", "Port to listen on; 0 for any free one (8123)", .count = &port,
         .max = UINT16_MAX},
        {"bind", 0, "ADDRESS",
         "Address to listen on (127.0.0.1: only this machine can connect). There is no password: "
         "anyone who can reach the address can see the page",
         .string = &address},
        {0}};
    parse_command_line(argc, argv, options, "RUN…",
                       "Serves the report of one or several runs to a web browser and updates "
                       "it while they train. It only reads the run folders. Ctrl-C stops it.");
    struct server s = {0};
    sigset_t stop;
    int signal;
    setpriority(PRIO_PROCESS, 0, 10); /* training has precedence */
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &stop, NULL); /* inherited by the server's threads */
    const int status = open_runs(&s, &runs, err) || server_start(&s, address, (uint16_t)port, err);
    if (status == 0) {
        printf("%s  (Ctrl-C to stop)\n", s.url);
        fflush(stdout);
        sigwait(&stop, &signal);
    }
    server_stop(&s);
    for (size_t i = 0; i < s.n; i++)
        history_close(&s.runs[i]);
    free(s.runs);
    return status;
}
