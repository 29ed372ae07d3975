/* schedule.h: the learning rate of each step. */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include <stdint.h>

enum schedule_kind { SCHEDULE_CONSTANT, SCHEDULE_LINEAR, SCHEDULE_COSINE, SCHEDULE_WSD };

struct schedule {
    enum schedule_kind kind;
    double lr, min_lr;
    uint64_t warmup;      /* steps of the linear rise, that every kind begins with */
    uint64_t decay_steps; /* linear, cosine: the step at which min_lr is reached (0: steps).
                             wsd: length of the decay at the end of the run (0: a fifth of the steps) */
    uint64_t steps;       /* of the whole run */
};

/* The learning rate of step s, counted from 0.
 * s < warmup: lr (s + 1) / (warmup + 1), as nanoGPT warms up.
 * linear, cosine: from lr down to min_lr between warmup and decay_steps, min_lr beyond.
 * wsd (warm-up, stable, decay; Hu et al. 2024, arXiv:2404.06395): lr until steps - decay_steps, then
 * min_lr + (lr - min_lr) (1 - sqrt(r)), r the part of the decay done (Hägele et al. 2024, arXiv:2405.18392). */
double schedule_lr(const struct schedule *schedule, uint64_t s);

#endif
