/* omp_wait.c: see waiting.h. */
#include "base/omp_wait.h"
#include "base/clock.h"
#include "base/thread.h"
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <omp.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

double seconds_in_run_queue(void)
{
    double sum = 0;
    bool known = false;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *d; tasks && (d = readdir(tasks));) {
        char path[300];
        unsigned long long ran, waited;
        snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", d->d_name);
        FILE *f = fopen(path, "r");
        if (f && fscanf(f, "%llu %llu", &ran, &waited) == 2) {
            sum += 1e-9 * (double)waited;
            known = true;
        }
        if (f)
            fclose(f);
    }
    if (tasks)
        closedir(tasks);
    return known ? sum : NAN;
}

/* On two cores it is 0.01 to 0.07 where nothing else runs or what runs has a niceness of 19, and 0.6 to 1.6 beside one program that
 * computes, whether threads spin or sleep: measured with the smallest model, whose threads wait most often. */
bool omp_should_sleep(bool brief, double share)
{
    return brief ? !(share < 0.1) : share > 0.3;
}

#ifdef __clang__ /* its runtime can be told, but only by the thread that computes */

bool omp_set_sleep(bool brief)
{
    kmp_set_blocktime(brief ? 0 : 200); /* ms */
    return brief;
}

void omp_wait_adapt(void)
{
    if (!getenv("KMP_BLOCKTIME") && !getenv("OMP_WAIT_POLICY"))
        omp_set_sleep(true);
}

#else

/* libgomp reads GOMP_SPINCOUNT before main and has no call to change it, but it says (its manual, under that name) that threads spin 100
 * times instead of 300,000 while a program manages more of them than there are processors. So to wait briefly, a thread that
 * does nothing else opens a team large enough, and stands by; what it opened ends with it. */
static struct {
    pthread_t thread;
    sem_t leave;
    bool there;
} crowd;

static void *nothing(void *argument)
{
    return argument;
}

static void *stand_by(void *argument)
{
    pthread_t trial;
    pthread_setname_np(pthread_self(), "standing by");
    if (thread_start(&trial, nothing, NULL) ==
        0) { /* where libgomp gets no thread, it ends the program */
        pthread_join(trial, NULL);
        const int team = omp_get_num_procs() - omp_get_max_threads() + 2;
#pragma omp parallel num_threads(team > 1 ? team : 1)
        __asm__ volatile("");
    }
    while (sem_wait(&crowd.leave) && errno == EINTR)
        ;
    return argument;
}

bool omp_set_sleep(bool brief)
{
    if (brief && !crowd.there) {
        sem_init(&crowd.leave, 0, 0);
        crowd.there = thread_start(&crowd.thread, stand_by, NULL) == 0;
    } else if (!brief && crowd.there) {
        sem_post(&crowd.leave);
        pthread_join(crowd.thread, NULL);
        sem_destroy(&crowd.leave);
        crowd.there = false;
    }
    return crowd.there;
}

static void *watch(void *argument)
{
    bool brief = false;
    for (double waited = seconds_in_run_queue(), then = seconds(); !isnan(waited);) {
        usleep(100000);
        const double waited_now = seconds_in_run_queue(), now = seconds();
        brief = omp_set_sleep(omp_should_sleep(brief, (waited_now - waited) / (now - then)));
        waited = waited_now;
        then = now;
    }
    return argument;
}

void omp_wait_adapt(void)
{
    pthread_t thread;
    if (!getenv("GOMP_SPINCOUNT") && !getenv("OMP_WAIT_POLICY") && omp_get_max_threads() > 1 &&
        !thread_start(&thread, watch, NULL))
        pthread_detach(thread);
}

#endif
