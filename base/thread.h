/* thread.h: threads besides the one that trains. */
#ifndef THREAD_H
#define THREAD_H

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

/* pthread_create for a thread that blocks all signals and may run on all processors of the process.
 * Returns 0 or an errno. */
int thread_start(pthread_t *thread, void *(*work)(void *), void *argument);

/* The processors of all OpenMP places. With OMP_PROC_BIND, the main thread is bound to the first
 * place before main, and threads that it starts would inherit that. False if nothing is bound. */
bool thread_processors(cpu_set_t *all);

#endif
