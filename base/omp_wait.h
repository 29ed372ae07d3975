/* omp_wait.h: how long OpenMP threads spin before they sleep when they wait for each other.
 *
 * Waking a sleeping thread takes 75 to 150 us on a virtual machine, several times what most loops
 * of a small model take. But if another program occupies one of two cores, a spinning thread keeps
 * the one that it waits for from running (docs/benchmark.md). So threads spin while the process has
 * the machine to itself, and otherwise wait passively, as with OMP_WAIT_POLICY=PASSIVE.
 */
#pragma once

#include <stdbool.h>

/* Total seconds that runnable threads of this process waited for a core; NAN if unknown. */
double seconds_in_run_queue(void);

/* The policy to use after a period under the policy `passive` in which threads waited for a core
 * for `share` of the time, in total. */
bool omp_wait_choose(bool passive, double share);

/* Makes threads wait passively, or as the OpenMP runtime does by default. Only one thread at a time
 * may call it. Returns the policy now in use, which is the old one if the change failed. */
bool omp_wait_set_passive(bool passive);

/* Starts a thread that adapts the policy ten times a second; with clang's runtime, threads always
 * wait passively instead. Does nothing if the user has set a policy (OMP_WAIT_POLICY,
 * GOMP_SPINCOUNT, KMP_BLOCKTIME) or OpenMP uses one thread. To be called once, by the thread that
 * computes. */
void omp_wait_adapt(void);
