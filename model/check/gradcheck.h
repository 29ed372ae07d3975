/* gradcheck.h: the numerical checker of every backward.
 *
 * A forward f and its backward are compared through Jacobian-vector products. For a random signed
 * upstream gradient dy, the backward must add J^T dy, whose element j is the derivative of dy .
 * f(x) along coordinate j. Two methods find this derivative without the backward:
 *
 *   complex   Im dy . f(x + ih e_j) / h, h = 1e-20, in the double complex build: exact to rounding
 *   central   central differences of f in double with Richardson extrapolation; the tableau's own
 *             estimate of its error is the tolerance
 *
 * Two more groups of checks cover what derivatives do not show:
 *
 *   contract    the double forward agrees with the complex one and with the textbook version;
 *               inputs do not change; nothing undefined is read; a backward adds to what is there
 *   precision   the float and bf16 builds, which train, agree with the double build
 */
#pragma once

#include "model/check/subject.h"
#include "model/model_code.h"

/* Tolerances of the complex step, relative in the Euclidean norm: for an operation and for a model.
 */
#define GRADCHECK_OP_TOLERANCE    1e-13
#define GRADCHECK_MODEL_TOLERANCE 1e-12

/* Checks one case, or all cases of the operation. Returns the number of failed comparisons, or -1
 * if memory is short. */
int gradcheck_case(const struct gradcheck *g, const struct gradcheck_subject *s,
                   const struct op_case *c);
int gradcheck_op(const struct gradcheck *g, const struct gradcheck_subject *s);

/* Checks the loss of small models of every kind against each of their parameter tensors, and their
 * loss, logits and gradients in low precision. Returns as above. */
struct gradcheck_model {
    const char *name;
    struct model_code code[NUMBERS];
};

struct gradcheck_model gradcheck_model_subject(void);
int gradcheck_model(const struct gradcheck *g, const struct gradcheck_model *m);

/* The gradient check as it is usually written: float, one step size, an upstream gradient of ones,
 * gradients that start at zero. Returns 1 if it sees an error in any case, 0 if not, -1 if memory
 * is short. */
int gradcheck_naive(const struct gradcheck_subject *s, uint64_t seed);
int gradcheck_naive_model(const struct gradcheck_model *m, uint64_t seed);

/* Finds out which methods see a planted mistake of an operation, or of the model. Returns 0, or -1
 * if memory is short. */
enum { CAUGHT_COMPLEX, CAUGHT_CENTRAL, CAUGHT_CONTRACT, CAUGHT_NAIVE, CAUGHT_BY };
struct gradcheck_caught {
    bool by[CAUGHT_BY];
};
int gradcheck_mistake(struct gradcheck_caught *caught, const struct mistake *m, uint64_t seed);
int gradcheck_model_mistake(struct gradcheck_caught *caught, size_t mistake, uint64_t seed);
