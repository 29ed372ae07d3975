/* thread.h: threads beside the one that trains. */
#ifndef THREAD_H
#define THREAD_H

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

/* pthread_create, but signals are for the thread that trains, and it may run wherever the program may. Returns 0 or an errno. */
int thread_start(pthread_t *thread, void *(*work)(void *), void *argument);

/* The processors of all of OpenMP's places: with OMP_PROC_BIND the thread that trains is bound to the first of them before main, and
 * what it starts would be too. False where nothing is bound. */
bool thread_processors(cpu_set_t *all);

#endif
