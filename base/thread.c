/* thread.c: see thread.h. */
#include "base/thread.h"
#include <omp.h>
#include <signal.h>

bool thread_processors(cpu_set_t *all)
{
    CPU_ZERO(all);
    for (int i = 0; i < omp_get_num_places(); i++) {
        int ids[CPU_SETSIZE];
        const int n = omp_get_place_num_procs(i) <= CPU_SETSIZE ? omp_get_place_num_procs(i) : 0;
        if (n > 0)
            omp_get_place_proc_ids(i, ids);
        for (int k = 0; k < n; k++)
            CPU_SET(ids[k], all);
    }
    return CPU_COUNT(all) > 0;
}

int thread_start(pthread_t *thread, void *(*work)(void *), void *argument)
{
    sigset_t no_signal, old;
    cpu_set_t all;
    pthread_attr_t attributes;
    int e = pthread_attr_init(&attributes);
    if (e)
        return e;
    if (thread_processors(&all))
        pthread_attr_setaffinity_np(&attributes, sizeof all, &all);
    sigfillset(&no_signal);
    pthread_sigmask(SIG_SETMASK, &no_signal, &old);
    e = pthread_create(thread, &attributes, work, argument);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attributes);
    return e;
}
