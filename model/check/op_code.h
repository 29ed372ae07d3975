/* op_code.h: the functions of every operation in each build, with one way to call them.
 *
 * A function is stored as a plain pointer and called through a caller that knows how the
 * operation's arguments follow from an array of tensors. So another function of the same type, such
 * as the textbook version, a planted mistake or a function from a shared object, can take its
 * place.
 */
#pragma once

#include "model/check/ops.h"

typedef void op_function(void); /* any function; the caller casts it back to its own type */

/* x are the tensors in the order of op_info, NULL if absent. dx are the gradients of inputs and
 * parameters, which a backward adds into, and of outputs. */
struct op_code {
    op_function *forward, *backward;
    void (*call_forward)(op_function *f, void *const *x, const struct op_case *c);
    void (*call_backward)(op_function *f, void *const *dx, void *const *x, const struct op_case *c);
};

enum number { NUMBER_F32, NUMBER_F64, NUMBER_C128, NUMBER_BF16, NUMBERS };

extern const struct op_code op_code_f32[OPS], op_code_f64[OPS], op_code_c128[OPS],
    op_code_bf16[OPS];

/* The textbook versions, and those with switches for planted mistakes (mistakes.h). */
extern const struct op_code plain_code_f64[OPS];
extern const struct op_code mistaken_code_f32[OPS], mistaken_code_f64[OPS], mistaken_code_c128[OPS];
