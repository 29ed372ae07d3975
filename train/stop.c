/* stop.c: the one flag that a signal handler may set. */
#include "stop.h"
#include <signal.h>

static volatile sig_atomic_t requested;

static void request(int signal)
{
    (void)signal;
    requested = 1;
}

void stop_on_signals(void)
{
    struct sigaction action = {.sa_handler = request, .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool stop_requested(void)
{
    return requested;
}
