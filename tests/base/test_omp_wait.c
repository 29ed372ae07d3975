/* test_omp_wait.c: threads that wait, and for how long. */
#include "base/omp_wait.h"
#include "tests/test.h"
#include <math.h>
#include <omp.h>
#include <time.h>
#include <unistd.h>

START_TEST(company_is_what_stands_in_line)
{
    ck_assert(!omp_wait_choose(false, 0.01) && omp_wait_choose(false, 0.5) &&
              omp_wait_choose(true, 0.2) && !omp_wait_choose(false, 0.2) &&
              !omp_wait_choose(true, 0.01));
    ck_assert(!omp_wait_choose(false, NAN) &&
              omp_wait_choose(true, NAN)); /* not known: as before */
    const double before = seconds_in_run_queue();
    ck_assert(isnan(before) || before >= 0);
}
END_TEST

#ifndef MEMCHECK /* valgrind lets one thread run at a time, and cannot be started again */
enum { LOOPS = 20 };

static double cpu(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Processor time that a thread spends waiting while another computes for 10 ms, LOOPS times. */
static double spent_waiting(void)
{
    double spent = 0;
    for (int i = 0; i <= LOOPS; i++) {
        const double all = cpu(CLOCK_PROCESS_CPUTIME_ID), own = cpu(CLOCK_THREAD_CPUTIME_ID);
#pragma omp parallel num_threads(2)
        if (omp_get_thread_num() == 0)
            while (cpu(CLOCK_THREAD_CPUTIME_ID) - own < 0.01)
                ;
        if (i > 0) /* the first starts the thread */
            spent += cpu(CLOCK_PROCESS_CPUTIME_ID) - all - (cpu(CLOCK_THREAD_CPUTIME_ID) - own);
    }
    return spent;
}

/* Of processor time, not of the clock: what other programs do changes neither. */
START_TEST(waiting_threads_sleep_in_company_and_spin_alone)
{
    omp_set_num_threads(2);
    const double alone = spent_waiting();
    ck_assert(omp_wait_set_passive(true));
    const double company = spent_waiting();
    ck_assert(!omp_wait_set_passive(false));
    const double again = spent_waiting();
    ck_assert_double_lt(company, 0.5 * alone);
    ck_assert_double_lt(company, 0.5 * again);
}
END_TEST

/* The runtime reads how long to wait before main, and tests/run has told it. */
__attribute__((constructor)) static void start_again_untold(void)
{
    if (getenv("OMP_WAIT_POLICY") && !unsetenv("OMP_WAIT_POLICY"))
        execl("/proc/self/exe", "test_train_waiting", (char *)NULL);
}

SUITE("train/waiting", waiting_threads_sleep_in_company_and_spin_alone,
      company_is_what_stands_in_line)
#else
SUITE("train/waiting", company_is_what_stands_in_line)
#endif
