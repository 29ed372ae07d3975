/* schedule.h: the learning rate of each step. */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include <stdint.h>

enum schedule_kind { SCHEDULE_CONSTANT, SCHEDULE_LINEAR, SCHEDULE_COSINE, SCHEDULE_WSD };

struct schedule {
    enum schedule_kind kind;
    double lr, min_lr;
    uint64_t warmup; /* steps of linear warm-up, for every kind */
    /* linear, cosine: the step that reaches min_lr (0: steps). wsd: length of the decay at the end
     * of the run (0: a fifth of the steps) */
    uint64_t decay_steps;
    uint64_t steps; /* of the whole run */
};

/* The learning rate of step s, counted from 0. s < warmup: lr (s + 1) / (warmup + 1), as in
 * nanoGPT. linear, cosine: from lr to min_lr between warmup and decay_steps, then min_lr. wsd
 * (warm-up, stable, decay; Hu et al. 2024, arXiv:2404.06395): lr until steps - decay_steps, then
 * min_lr + (lr - min_lr) (1 - sqrt(r)), where r is the completed fraction of the decay (Hägele et
 * al. 2024, arXiv:2405.18392). */
double schedule_lr(const struct schedule *schedule, uint64_t s);

#endif
