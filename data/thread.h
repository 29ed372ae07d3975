/* thread.h: threads beside the one that trains. */
#ifndef THREAD_H
#define THREAD_H

#include <pthread.h>

/* pthread_create, but signals are for the thread that trains. Returns 0 or an errno. */
int thread_start(pthread_t *thread, void *(*work)(void *), void *argument);

#endif
