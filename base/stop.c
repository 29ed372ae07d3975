/* stop.c: the two flags that signal handlers may set.
 *
 * The handlers run on a thread that does nothing else, and all others have these signals blocked. The kernel puts what a handler needs, some
 * thousand bytes, below the stack pointer of the thread that it interrupts; oneDNN's float products, up to its version 3.11.1 at least, keep an
 * array of the heap there (github.com/uxlfoundation/oneDNN/issues/4845), and what lies before that array is overwritten: a Ctrl-C could
 * end a run by an abort in free().
 */
#include "base/stop.h"
#include "base/thread.h"
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

static atomic_bool stop, save;
static sigset_t ours; /* that are handled */

static void request(int signal)
{
    if (signal == SIGUSR1)
        save = true;
    else
        stop = true;
}

static void *listen(void *unused)
{
    (void)unused;
    pthread_sigmask(SIG_UNBLOCK, &ours, NULL);
    for (;;)
        pause();
    return NULL;
}

/* Where there can be no thread, whoever computes is interrupted. */
static void leave_to_listener(void)
{
    pthread_t listener;
    sigset_t before;
    pthread_sigmask(SIG_BLOCK, &ours, &before); /* of the threads, too, that this one will start */
    if (thread_start(&listener, listen, NULL) == 0)
        pthread_detach(listener);
    else
        pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void handle(int signal, int flags)
{
    struct sigaction action = {.sa_handler = request, .sa_flags = flags | (int)SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, NULL);
    sigaddset(&ours, signal);
}

void stop_on_signals(bool and_save)
{
    struct sigaction before;
    sigemptyset(&ours);
    handle(SIGINT, (int)SA_RESETHAND);
    handle(SIGTERM, (int)SA_RESETHAND);
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        handle(SIGHUP, (int)SA_RESETHAND);
    if (and_save) {
        handle(SIGUSR1, 0);
        signal(SIGPIPE, SIG_IGN);
        signal(SIGXFSZ, SIG_IGN);
    }
    leave_to_listener();
}

bool stop_requested(void)
{
    return stop;
}

bool save_requested(void)
{
    return atomic_exchange(&save, false);
}
