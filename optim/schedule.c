/* schedule.c: the learning rate as a pure function of the step, so that a resumed run needs no
 * state for it. */
#include "optim/schedule.h"

#include <math.h>

/* The position of step s between `first` and `end`, in [0, 1]; 1 if the interval is empty. */
static double fraction(uint64_t s, uint64_t first, uint64_t end)
{
    if (s >= end)
        return 1;
    return s <= first ? 0 : (double)(s - first) / (double)(end - first);
}

static double wsd_fraction(const struct schedule *c, uint64_t s)
{
    const uint64_t length = c->decay_steps ? c->decay_steps : c->steps / 5,
                   start = length < c->steps ? c->steps - length : 0;
    /* A decay that would begin during the warm-up begins after it, so that the rate is
     * continuous. */
    return fraction(s, start > c->warmup ? start : c->warmup, c->steps);
}

double schedule_lr(const struct schedule *c, uint64_t s)
{
    if (s < c->warmup)
        return c->lr * ((double)s + 1) / ((double)c->warmup + 1);
    const double fall = c->lr - c->min_lr,
                 r = fraction(s, c->warmup, c->decay_steps ? c->decay_steps : c->steps);
    switch (c->kind) {
    case SCHEDULE_CONSTANT:
        return c->lr;
    case SCHEDULE_LINEAR:
        return c->min_lr + fall * (1 - r);
    case SCHEDULE_COSINE:
        return c->min_lr + fall * 0.5 * (1 + cos(M_PI * r));
    case SCHEDULE_WSD:
        return c->min_lr + fall * (1 - sqrt(wsd_fraction(c, s)));
    }
    return c->lr;
}
