/* subject.h: what the gradient checker checks, by which methods, and what it reports. */
#pragma once

#include "model/check/mistakes.h"
#include "model/check/op_code.h"

enum gradcheck_method {
    GRADCHECK_COMPLEX = 1,
    GRADCHECK_CENTRAL = 2,
    GRADCHECK_CONTRACT = 4,
    GRADCHECK_PRECISION = 8,
    GRADCHECK_ALL = 15
};

/* The builds of low precision. Each is compared with the double build. */
struct gradcheck_precision {
    const char *name; /* of the method, in reports */
    enum number number;
    double unit;   /* unit roundoff */
    double factor; /* K of the bound: see precision.c */
};
enum { GRADCHECK_PRECISIONS = 2 };
extern const struct gradcheck_precision gradcheck_precisions[GRADCHECK_PRECISIONS];

/* One comparison: a tensor of an operation (or of the model), in one case, by one method. */
struct gradcheck_line {
    const char *subject, *method;
    char tensor[48];
    char sizes[96];  /* of the case, as text */
    size_t size;     /* elements of the tensor */
    size_t checked;  /* coordinates and directions checked for each upstream gradient */
    double error;    /* relative, in the Euclidean norm, over everything checked */
    double worst;    /* largest single difference, relative to the gradient's root mean square */
    size_t at;       /* its element; SIZE_MAX for a direction */
    char where[64];  /* the element as "[3][7]" */
    double expected; /* there */
    double got;
    double tolerance; /* of error */
    bool ok;
};

/* Writes an element's number as indices into a shape: "[3][7]"; nothing for SIZE_MAX. */
void gradcheck_where(char *text, size_t size, size_t at, const size_t *shape, int ndim);

struct gradcheck {
    unsigned methods; /* of enum gradcheck_method */
    uint64_t seed;
    bool first_only;                                             /* stop soon after a failure */
    bool small_only;                                             /* leave out large cases */
    void (*report)(void *to, const struct gradcheck_line *line); /* or NULL */
    void *to;
};

/* What is checked: an operation with the code of each build, and the mistakes planted in that
 * code. */
struct gradcheck_subject {
    const char *name;
    enum op op;
    struct op_code code[NUMBERS];
    struct planted planted; /* mistake NULL: none */
};

struct gradcheck_subject gradcheck_subject(enum op op);
struct gradcheck_subject gradcheck_mistaken(const struct mistake *m);
