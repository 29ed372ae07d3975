/* omp_wait.c: see omp_wait.h. */
#include "base/omp_wait.h"
#include "base/clock.h"
#include "base/thread.h"
#include <errno.h>
#include <glob.h>
#include <math.h>
#include <omp.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

double seconds_in_run_queue(void)
{
    double sum = NAN;
    glob_t tasks = {0};
    glob("/proc/self/task/*/schedstat", GLOB_NOSORT, NULL, &tasks);
    for (size_t i = 0; i < tasks.gl_pathc; i++) {
        unsigned long long ran, waited;
        FILE *f = fopen(tasks.gl_pathv[i], "r");
        if (f && fscanf(f, "%llu %llu", &ran, &waited) == 2)
            sum = (isnan(sum) ? 0 : sum) + 1e-9 * (double)waited;
        if (f)
            fclose(f);
    }
    globfree(&tasks);
    return sum;
}

/* Measured on two cores with the smallest model, whose threads wait most often: the share is 0.01
 * to 0.07 on an idle machine or beside programs of niceness 19, and 0.6 to 1.6 beside one busy
 * program, under either policy. */
bool omp_wait_choose(bool passive, double share)
{
    return passive ? !(share < 0.1) : share > 0.3;
}

#ifdef __clang__ /* libomp has a call for this, but only for the thread that computes */

bool omp_wait_set_passive(bool passive)
{
    kmp_set_blocktime(passive ? 0 : 200); /* ms */
    return passive;
}

void omp_wait_adapt(void)
{
    if (!getenv("KMP_BLOCKTIME") && !getenv("OMP_WAIT_POLICY"))
        omp_wait_set_passive(true);
}

#else

/* libgomp reads GOMP_SPINCOUNT before main and has no call to change it. But while a program has
 * more OpenMP threads than there are processors, threads spin 100 times instead of 300,000 (libgomp
 * manual, GOMP_SPINCOUNT). So the passive policy is set by an idle thread that opens a large enough
 * team; the team ends with that thread. */
static struct {
    pthread_t thread;
    sem_t stop;
    bool running;
} oversubscriber;

static void *do_nothing(void *argument)
{
    return argument;
}

static void *oversubscribe(void *argument)
{
    pthread_t trial;
    pthread_setname_np(pthread_self(), "oversubscriber");
    /* libgomp ends the program if it cannot start a thread. */
    if (thread_start(&trial, do_nothing, NULL) == 0) {
        pthread_join(trial, NULL);
        const int team = omp_get_num_procs() - omp_get_max_threads() + 2;
#pragma omp parallel num_threads(team > 1 ? team : 1)
        __asm__ volatile("");
    }
    (void)TEMP_FAILURE_RETRY(sem_wait(&oversubscriber.stop));
    return argument;
}

bool omp_wait_set_passive(bool passive)
{
    if (passive && !oversubscriber.running) {
        sem_init(&oversubscriber.stop, 0, 0);
        oversubscriber.running = thread_start(&oversubscriber.thread, oversubscribe, NULL) == 0;
    } else if (!passive && oversubscriber.running) {
        sem_post(&oversubscriber.stop);
        pthread_join(oversubscriber.thread, NULL);
        sem_destroy(&oversubscriber.stop);
        oversubscriber.running = false;
    }
    return oversubscriber.running;
}

static void *watch(void *argument)
{
    bool passive = false;
    for (double waited = seconds_in_run_queue(), then = seconds(); !isnan(waited);) {
        usleep(100000);
        const double waited_now = seconds_in_run_queue(), now = seconds();
        passive =
            omp_wait_set_passive(omp_wait_choose(passive, (waited_now - waited) / (now - then)));
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
