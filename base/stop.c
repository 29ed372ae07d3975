/* stop.c: see stop.h.
 *
 * A thread that does nothing else runs the signal handlers; all other threads block these signals.
 * The kernel stores a handler's frame, about a thousand bytes, below the stack pointer of the
 * interrupted thread. oneDNN's float products, at least up to version 3.11.1, point the stack
 * pointer at an array on the heap (github.com/uxlfoundation/oneDNN/issues/4845), and the frame
 * would overwrite what precedes that array: Ctrl-C could end a run with an abort in free().
 */
#include "base/stop.h"
#include "base/thread.h"
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

static atomic_bool stop, save;
static sigset_t handled;

static void set_flag(int signal)
{
    *(signal == SIGUSR1 ? &save : &stop) = true;
}

static void *receive_signals(void *argument)
{
    pthread_sigmask(SIG_UNBLOCK, &handled, NULL);
    for (;;)
        pause();
    return argument;
}

static void handle(int signal, unsigned flags)
{
    struct sigaction action = {.sa_handler = set_flag, .sa_flags = (int)(flags | SA_RESTART)};
    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, NULL);
    sigaddset(&handled, signal);
}

void stop_on_signals(bool and_save)
{
    struct sigaction old;
    sigset_t before;
    pthread_t receiver;
    sigemptyset(&handled);
    handle(SIGINT, SA_RESETHAND);
    handle(SIGTERM, SA_RESETHAND);
    if (sigaction(SIGHUP, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        handle(SIGHUP, SA_RESETHAND);
    if (and_save) {
        handle(SIGUSR1, 0);
        signal(SIGPIPE, SIG_IGN);
        signal(SIGXFSZ, SIG_IGN);
    }
    /* Threads that are started later inherit the mask. If no receiver can be started, the caller
     * handles the signals itself. */
    pthread_sigmask(SIG_BLOCK, &handled, &before);
    if (thread_start(&receiver, receive_signals, NULL) == 0)
        pthread_detach(receiver);
    else
        pthread_sigmask(SIG_SETMASK, &before, NULL);
}

bool stop_requested(void)
{
    return stop;
}

bool save_requested(void)
{
    return atomic_exchange(&save, false);
}
