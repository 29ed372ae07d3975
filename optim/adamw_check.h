/* adamw_check.h: compares AdamW with its definition, and with common mistakes in it. */
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

/* The largest norm-wise relative error of the parameters' changes and of the moments over several
 * clipped steps, compared with the definition in double: of adamw_update in float or double
 * (OPTIM_RIGHT), or of the definition with one mistake. -1 if memory is short. */
double optcheck_error_f32(int mistake);
double optcheck_error_f64(int mistake);

const struct optim_mistake *optcheck_mistake_f64(size_t mistake);

#endif
