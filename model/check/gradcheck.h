/* gradcheck.h: the numerical checker of every backward.
 *
 * A forward f and its backward are compared through Jacobian-vector products: with a random signed upstream gradient dy, the
 * backward must add J^T dy, and element j of that is the derivative of dy . f(x) along coordinate j. Two methods find it without
 * knowing the backward:
 *
 *   complex   Im dy . f(x + ih e_j) / h, h = 1e-20, with the double complex build of the same source: exact to rounding
 *   central   differences of f in double, Richardson-extrapolated; the tableau's own error estimate is the tolerance
 *
 * What else an operation promises is checked beside them ("contract"): the double forward agrees with the complex one and with the
 * plain definition (mistakes.h), inputs stay as they were, nothing undefined is read, and a backward adds to what is there. And
 * the float build, which trains, is compared with the double one ("float"), and so is any other of few digits.
 */
#ifndef GRADCHECK_H
#define GRADCHECK_H

#include "model/check/op_code.h"

enum gradcheck_method {
    GRADCHECK_COMPLEX = 1,
    GRADCHECK_CENTRAL = 2,
    GRADCHECK_CONTRACT = 4,
    GRADCHECK_PRECISION = 8,
    GRADCHECK_ALL = 15
};

/* The builds of few digits, that train: each is compared with the double one. */
struct gradcheck_precision {
    const char *name; /* of the method, in lines */
    enum number number;
    double unit;   /* its unit roundoff */
    double factor; /* K of the bound: see gradcheck_precision.c */
};
enum { GRADCHECK_PRECISIONS = 2 };
extern const struct gradcheck_precision gradcheck_precisions[GRADCHECK_PRECISIONS];

/* Norm-wise relative bars of the complex step: for one operation, and for a whole model. */
#define GRADCHECK_OP_TOLERANCE    1e-13
#define GRADCHECK_MODEL_TOLERANCE 1e-12

/* One comparison: a tensor of an operation (or of the model) in one case, by one method. */
struct gradcheck_line {
    const char *subject, *method;
    char tensor[48];
    char sizes[96]; /* of the case, as text */
    size_t size;    /* elements of the tensor */
    size_t checked; /* coordinates and directions looked at, for each upstream gradient */
    double error;   /* norm-wise relative, over everything checked */
    double
        worst; /* the largest single difference, relative to the root mean square of the gradient */
    size_t at; /* its element; SIZE_MAX where it is a direction */
    char where[64];  /* the same as "[3][7]" */
    double expected; /* there */
    double got;
    double tolerance; /* of error */
    bool ok;
};

/* Writes at as indices into a shape: "[3][7]"; nothing for SIZE_MAX. */
void gradcheck_where(char *text, size_t size, size_t at, const size_t *shape, int ndim);

struct gradcheck {
    unsigned methods; /* of enum gradcheck_method */
    uint64_t seed;
    bool first_only; /* stop soon after a failure */
    bool small_only; /* leave out the cases that are expensive */
    void (*report)(void *to, const struct gradcheck_line *line); /* or NULL */
    void *to;
};

/* What is checked: an operation, with the code that stands in for its own where they differ. */
struct gradcheck_subject {
    const char *name;
    enum op op;
    struct op_code code[NUMBERS];
    unsigned faults; /* for the plain operations: see mistakes.h */
};

struct gradcheck_subject gradcheck_subject(enum op op);

/* Checks one case, or all cases of the operation; returns how many comparisons failed, or -1 where memory is short. */
int gradcheck_case(const struct gradcheck *g, const struct gradcheck_subject *s,
                   const struct op_case *c);
int gradcheck_op(const struct gradcheck *g, const struct gradcheck_subject *s);

/* The loss of small models of every kind against each of their parameter tensors, through the code of these builds; and their
 * loss, logits and gradients in few digits. */
struct gradcheck_model {
    const char *name;
    struct model_code code[NUMBERS];
};

struct gradcheck_model gradcheck_model_subject(void);
int gradcheck_model(const struct gradcheck *g, const struct gradcheck_model *m);

/* The habit that this checker replaces: float, one step size, an upstream gradient of ones, gradients that start at zero. Returns
 * whether it sees anything wrong in any case; -1 where memory is short. */
int gradcheck_naive(const struct gradcheck_subject *s, uint64_t seed);
int gradcheck_naive_model(const struct gradcheck_model *m, uint64_t seed);

/* Which methods fail one of the planted mistakes (mistakes.h); 0, or -1 where memory is short. */
struct gradcheck_caught {
    bool complex, central, contract, naive;
};
int gradcheck_mistake(struct gradcheck_caught *caught, size_t mistake, uint64_t seed);

#endif
