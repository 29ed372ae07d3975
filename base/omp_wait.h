/* omp_wait.h: how long OpenMP's threads spin where they wait for each other before they sleep.
 *
 * To sleep and be woken costs 75 to 150 us on a virtual machine, several times what most loops of a small model take; but a thread that
 * spins keeps the one that it waits for from running where another program has a core of the two: nine tenths of the speed,
 * measured both (docs/benchmark.md). So they spin while the process has the machine to itself, and sleep in company. */
#ifndef OMP_WAIT_H
#define OMP_WAIT_H

#include <stdbool.h>

/* Seconds that this process's threads have stood in line for a core; NAN where Linux keeps no such account. */
double seconds_in_run_queue(void);

/* Whether threads should wait briefly, after a while in which they stood in line for `share` of it, all together. */
bool omp_should_sleep(bool brief, double share);

/* Has threads wait briefly, or as long as the OpenMP runtime does by itself. One thread at a time may call it, and it may fail: then
 * nothing changes. Returns whether they wait briefly now. */
bool omp_set_sleep(bool brief);

/* From now on a thread of its own looks ten times a second whether there is company; with clang's OpenMP threads always wait briefly.
 * Nothing happens where the user has said how to wait (OMP_WAIT_POLICY, GOMP_SPINCOUNT, KMP_BLOCKTIME), where there is one thread, or
 * where no thread can be had. A process calls it once, from the thread that computes. */
void omp_wait_adapt(void);

#endif
