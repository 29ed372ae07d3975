/* stop.c: the two flags that signal handlers may set. */
#include "stop.h"
#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t stop, save;

static void request(int signal)
{
    if (signal == SIGUSR1)
        save = 1;
    else
        stop = 1;
}

void stop_on_signals(void)
{
    struct sigaction once = {.sa_handler = request, .sa_flags = (int)(SA_RESETHAND | SA_RESTART)}, before;
    sigemptyset(&once.sa_mask);
    sigaction(SIGINT, &once, NULL);
    sigaction(SIGTERM, &once, NULL);
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &once, NULL);
}

void save_on_signal(void)
{
    struct sigaction again = {.sa_handler = request, .sa_flags = SA_RESTART};
    sigemptyset(&again.sa_mask);
    sigaction(SIGUSR1, &again, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

bool stop_requested(void)
{
    return stop;
}

bool save_requested(void)
{
    const bool requested = save;
    if (requested)
        save = 0;
    return requested;
}
