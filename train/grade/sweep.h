/* sweep.h: the errors of numerical derivatives over the step size. */
#ifndef SWEEP_H
#define SWEEP_H

#include "model/check/ops.h"
#include "train/report/drawing.h"

enum sweep_method { SWEEP_CENTRAL_F32, SWEEP_CENTRAL_F64, SWEEP_COMPLEX, SWEEP_METHODS };
enum { SWEEP_STEPS = 61 }; /* four a decade, from 1e-1 to 1e-16 */

struct sweep {
    const char *op;
    char sizes[96];
    size_t coordinates;
    double step[SWEEP_STEPS], error[SWEEP_METHODS][SWEEP_STEPS]; /* norm-wise relative */
};

extern const char *const sweep_names[SWEEP_METHODS];

/* The derivatives of an operation's first case of some size along every coordinate, by each method and step, against the backward
 * in double. -1 where memory is short. */
int sweep_run(struct sweep *s, enum op op, uint64_t seed);
/* Draws the errors over the steps. */
void sweep_draw(const struct sweep *s, struct drawing *d);

#endif
