/* adamw_check.h: the optimiser against its definition, and the mistakes people make in it. */
#ifndef ADAMW_CHECK_H
#define ADAMW_CHECK_H

#include <stddef.h>

struct optim_mistake {
    const char *name, *why;
};

enum { OPTIM_MISTAKES = 10, OPTIM_RIGHT = -1 };

/* Norm-wise relative errors that rounding explains. */
#define OPTCHECK_TOLERANCE_F32 1e-5
#define OPTCHECK_TOLERANCE_F64 1e-13

/* The largest norm-wise relative error of parameters' changes and moments over several clipped steps: of the update that trains
 * (OPTIM_RIGHT) in float or double, or of one of the mistakes, against the exact update in double. -1 where memory is short. */
double optcheck_error_f32(int mistake);
double optcheck_error_f64(int mistake);

const struct optim_mistake *optcheck_mistake_f64(size_t mistake);

#endif
