/* harness.h: what a check works on: the tensors of an operation in one case, in every number type
 * and filled with the same random numbers, and derivatives of its outputs along any direction. */
#pragma once

#include "model/check/subject.h"
#include <math.h>

enum { UPSTREAMS = 3 };

struct harness {
    const struct gradcheck_subject *subject;
    const struct op_info *info;
    struct op_case c;
    uint32_t *ids, *targets, *start;
    size_t size[OP_TENSORS_MAX];
    double *value[OP_TENSORS_MAX];               /* of inputs and parameters, as drawn */
    double *upstream[UPSTREAMS][OP_TENSORS_MAX]; /* of outputs */
    void *x[NUMBERS][OP_TENSORS_MAX];
    double *direction; /* as long as the largest tensor */
};

/* A derivative of dy . f for each upstream gradient dy. */
struct derivative {
    double value[UPSTREAMS];
    double error[UPSTREAMS];     /* of central differences: the estimate of their error */
    double magnitude[UPSTREAMS]; /* |dy| . |f|: how large a derivative could be */
};

/* Returns -1 if memory is short; call harness_destroy in either case. */
int harness_create(struct harness *h, const struct gradcheck_subject *s, const struct op_case *c,
                   uint64_t seed);
void harness_destroy(struct harness *h);

/* Whether the case is a LayerNorm of one element. Its dx is zero by cancellation, to which no
 * condition number applies. */
bool harness_degenerate(const struct harness *h);

/* Sets inputs and parameters to the numbers drawn and everything else to NaN. */
void harness_reset(struct harness *h, enum number n);
void harness_poison(struct harness *h, enum number n, enum role role);
/* Run the subject's functions, with its planted mistakes. */
void harness_forward(struct harness *h, enum number n);
void harness_backward(struct harness *h, enum number n, void *const *dx);

/* The derivative along coordinate `at` of tensor k, or along h->direction if at is SIZE_MAX. */
struct derivative harness_complex_step(struct harness *h, size_t k, size_t at);
struct derivative harness_central_difference(struct harness *h, size_t k, size_t at);

#define COMPLEX_STEP 1e-20
#define CENTRAL_STEP 0.25
enum { CENTRAL_LEVELS = 12 };

/* Richardson's tableau of central differences with steps that halve: see numeric.c. */
struct tableau {
    double A[CENTRAL_LEVELS][CENTRAL_LEVELS];
    int level, best;     /* number of rows, and the row of the best entry */
    double value, error; /* the best entry, and the estimate of its error */
    double rounding;     /* of the last row */
};

/* Adds the next difference, with its rounding error. Done when smaller steps no longer help. */
void tableau_add(struct tableau *t, double difference, double rounding);
bool tableau_done(const struct tableau *t);

/* Sums over everything that is compared in one tensor by one method. */
struct comparison {
    unsigned method;
    double difference, reference, magnitude, estimate; /* sums of squares */
    double worst, expected, got;
    size_t at, compared;
};

void comparison_add(struct comparison *s, size_t at, double got, double expected, double error,
                    double magnitude);

/* The line of a comparison of `checked` coordinates and directions of a tensor of `size` elements,
 * whose gradient has `whole` as its sum of squares. */
struct comparison_bounds {
    double tolerance;        /* of the complex step */
    double central_rounding; /* of central differences, beyond their own estimate */
    double sum_rounding;     /* absolute, of the numbers that the backward added to */
};
struct gradcheck_line comparison_line(const struct comparison *s, size_t size, size_t checked,
                                      double whole, const struct comparison_bounds *bounds);

/* The line of a comparison of all elements of a tensor at once. */
static inline struct gradcheck_line whole_line(const char *method, size_t size, double error,
                                               double tolerance)
{
    return (struct gradcheck_line){.method = method,
                                   .size = size,
                                   .checked = size,
                                   .error = error,
                                   .at = SIZE_MAX,
                                   .tolerance = tolerance};
}

/* One run of the checker over one case. */
struct check {
    const struct gradcheck *g;
    struct harness h;
    double *dx[UPSTREAMS][OP_TENSORS_MAX]; /* what the backward added for each upstream gradient */
    int failed;
};

/* Completes a line with what all lines of a case share, counts failures, and reports the line. */
void check_report(struct check *k, size_t tensor, struct gradcheck_line line);

/* Draws start (B,T), with more than one document in each row if T > 1, and replaces targets in the
 * next document by NO_TARGET. NULL if memory is short. */
uint32_t *draw_documents(size_t B, size_t T, size_t document, uint32_t *targets, uint64_t *random);

/* Writes "B=2 T=3 C=5 …": the sizes that occur in the shapes of an operation. */
void op_describe(char *text, size_t size, const struct op_info *info, const struct op_case *c);

/* Checks cases 0 to count - 1 in parallel, each with its own seed, and reports their lines in
 * order. Returns the number of failures, or -1 if memory is short. */
int gradcheck_cases(const struct gradcheck *g, size_t count,
                    int (*check)(const struct gradcheck *g, const void *subject, size_t i),
                    const void *subject);

/* Copies of an operation's tensors in double, to detect changes. */
struct copy {
    void *x[OP_TENSORS_MAX];
};
int copy_tensors(struct copy *copy, const struct harness *h, bool differentiable_only);
void copy_free(struct copy *copy);
void check_unchanged(struct check *k, const struct copy *copy, const char *method);

/* After a forward in double and in double complex: checks that both agree with each other and with
 * the textbook version. Returns -1 if memory is short. */
int check_forward(struct check *k);

/* Checks the builds of low precision against the double build. Returns -1 if memory is short. */
int check_precision(struct check *k);

/* The passes that are compared: in low precision, in double, and in double from inputs that were
 * perturbed: first by the unit roundoff of the low precision, then by that of double. */
enum { PRECISION_DRAWS = 4, PASS_LOW = 0, PASS_EXACT, PASS_PERTURBED };
enum { PASSES = PASS_PERTURBED + 2 * PRECISION_DRAWS };
/* The number type of a pass, and the size of its perturbation. */
enum number precision_number(const struct gradcheck_precision *p, size_t pass);
double precision_unit(const struct gradcheck_precision *p, size_t pass);
/* The line that compares results of all passes, for a chain of so many operations. */
struct gradcheck_line precision_line(const struct gradcheck_precision *p,
                                     const double *const results[PASSES], size_t size,
                                     double chain);
/* x (1 + unit delta), with delta uniform in [-1, 1]. */
double precision_perturb(double x, double unit, uint64_t *random);

/* The larger of two errors; NaN counts as largest. */
static inline double worse(double a, double b)
{
    return isnan(a) || a >= b ? a : b;
}

/* Elements of arrays of a number type. */
double number_get(enum number n, const void *array, size_t i);
void number_put(enum number n, void *array, size_t i, double re, double im);
size_t number_size(enum number n);

/* The checker's random numbers (splitmix64; Steele, Lea and Flood 2014,
 * doi:10.1145/2660193.2660195). */
uint64_t random_bits(uint64_t *state);
double random_normal(uint64_t *state);
/* A direction of length 1. */
void random_direction(double *v, size_t n, uint64_t *state);
