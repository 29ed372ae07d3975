/* sweep.h: the errors of numerical derivatives over the step size. */
#pragma once

#include "model/check/ops.h"
#include "train/report/drawing.h"

enum sweep_method { SWEEP_CENTRAL_F32, SWEEP_CENTRAL_F64, SWEEP_COMPLEX, SWEEP_METHODS };
enum { SWEEP_STEPS = 61 }; /* four per decade, from 1e-1 to 1e-16 */

struct sweep {
    const char *op;
    char sizes[96];
    size_t coordinates;
    double step[SWEEP_STEPS],
        error[SWEEP_METHODS][SWEEP_STEPS]; /* relative, in the Euclidean norm */
};

extern const char *const sweep_names[SWEEP_METHODS];

/* Compares derivatives along every coordinate, by each method and step, with the backward in
 * double, in an operation's first case with several rows and columns. Returns -1 if memory is
 * short. */
int sweep_run(struct sweep *s, enum op op, uint64_t seed);
/* Draws the errors over the steps. */
void sweep_draw(const struct sweep *s, struct drawing *d);
