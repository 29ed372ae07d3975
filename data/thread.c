/* thread.c: see thread.h. */
#include "thread.h"
#include <signal.h>

int thread_start(pthread_t *thread, void *(*work)(void *), void *argument)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    const int e = pthread_create(thread, NULL, work, argument);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return e;
}
