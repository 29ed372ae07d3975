/* omp_wait.h: how long OpenMP threads spin before they sleep when they wait for each other.
 *
 * Waking a sleeping thread takes 75 to 150 us on a virtual machine, several times what most loops
 * of a small model take. But if another program occupies one of two cores, a spinning thread keeps
 * the thread that it waits for from running, at nine tenths of the speed (docs/benchmark.md). So
 * threads spin while the process has the machine to itself, and sleep otherwise. "Passive" means
 * sleeping early, as in OMP_WAIT_POLICY=PASSIVE.
 */
#ifndef OMP_WAIT_H
#define OMP_WAIT_H

#include <stdbool.h>

/* Seconds that the threads of this process, in total, were runnable but waited for a core; NAN if
 * the kernel does not count them. */
double seconds_in_run_queue(void);

/* The policy to use after a period in which the threads waited for a core for `share` of it, in
 * total, under the policy `passive`. */
bool omp_wait_choose(bool passive, double share);

/* Makes threads wait passively, or as the OpenMP runtime does by default. Only one thread at a time
 * may call it. Returns the policy now in use, which is the old one if the change failed. */
bool omp_wait_set_passive(bool passive);

/* Starts a thread that applies omp_wait_choose ten times a second. With clang's runtime, threads
 * always wait passively instead. Does nothing if the user has set a policy (OMP_WAIT_POLICY,
 * GOMP_SPINCOUNT, KMP_BLOCKTIME), if OpenMP uses one thread, or if no thread can be started. To be
 * called once, by the thread that computes. */
void omp_wait_adapt(void);

#endif
