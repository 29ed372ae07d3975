/* harness.h: what a check works on: an operation's tensors in one case, in every number type, filled with the same random
 * numbers, and derivatives of its outputs along any direction. */
#ifndef HARNESS_H
#define HARNESS_H

#include "model/check/gradcheck.h"
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
    double *direction; /* room for one of the largest tensor */
};

/* A derivative of dy . f for each upstream gradient dy. */
struct derivative {
    double value[UPSTREAMS];
    double error[UPSTREAMS];     /* central: the estimate of its own error */
    double magnitude[UPSTREAMS]; /* |dy| . |f|, about what a derivative could be */
};

/* -1 where memory is short; harness_destroy in either case. */
int harness_create(struct harness *b, const struct gradcheck_subject *s, const struct op_case *c,
                   uint64_t seed);
void harness_destroy(struct harness *b);

/* A LayerNorm of one element has no deviation: its dx is zero by cancellation, which no condition number knows of. */
bool harness_degenerate(const struct harness *b);

/* Inputs and parameters as drawn, everything else not a number; and a forward from there. */
void harness_reset(struct harness *b, enum number n);
void harness_forward(struct harness *b, enum number n);
void harness_poison(struct harness *b, enum number n, enum role role);

/* The derivative along tensor k's coordinate `at`, or along b->direction where at is SIZE_MAX. */
struct derivative harness_complex_step(struct harness *b, size_t k, size_t at);
struct derivative harness_central_difference(struct harness *b, size_t k, size_t at);

/* The steps of both methods. */
#define COMPLEX_STEP 1e-20
#define CENTRAL_STEP 0.25
enum { CENTRAL_LEVELS = 12 };

/* Richardson's tableau of central differences whose steps halve. */
struct tableau {
    double A[CENTRAL_LEVELS][CENTRAL_LEVELS];
    int level, best;     /* rows, and the one of the best entry */
    double value, error; /* the best entry, and its estimate */
    double rounding;     /* of the last row */
};

/* The next difference, and its rounding error. Done when further steps no longer help. */
void tableau_add(struct tableau *t, double difference, double rounding);
bool tableau_done(const struct tableau *t);

/* One run of the checker over one case. */
struct check {
    const struct gradcheck *g;
    struct harness b;
    double *dx[UPSTREAMS][OP_TENSORS_MAX]; /* what the backward added, for each upstream gradient */
    int failed;
};

/* Fills in what all lines of a case share and the verdict, counts, and hands the line on. */
void check_report(struct check *k, size_t tensor, struct gradcheck_line *line);

/* start (B,T), of documents of about so many tokens, more than one in each row where T > 1. Targets that belong to the next one
 * become NO_TARGET. NULL where memory is short. */
uint32_t *draw_documents(size_t B, size_t T, size_t document, uint32_t *targets, uint64_t *random);

/* "B=2 T=3 C=5 …": the sizes that an operation's shapes mention. */
void op_describe(char *text, size_t size, const struct op_info *info, const struct op_case *c);

/* Checks cases 0 to count - 1 in parallel, each from a seed of its own; their lines come in order. The number of failures, or -1 where
 * memory is short. */
int gradcheck_cases(const struct gradcheck *g, size_t count,
                    int (*check)(const struct gradcheck *g, const void *subject, size_t i),
                    const void *subject);

/* Copies of an operation's tensors in double, to see what a pass changes (gradcheck_contract.c). */
struct copy {
    void *x[OP_TENSORS_MAX];
};
int copy_tensors(struct copy *copy, const struct harness *b, bool differentiable_only);
void copy_free(struct copy *copy);
void check_unchanged(struct check *k, const struct copy *copy, const char *method);

/* After a forward in double and complex double: that both agree, and with the definition. -1 where memory is short. */
int check_forward(struct check *k);

/* The builds of few digits against the double one. -1 where memory is short. */
int check_precision(struct check *k);

/* Results in double, in few digits, and in double from inputs that were moved, several times: first by a unit roundoff of the few
 * digits, then by one of double's last digit. */
enum { PRECISION_MOVES = 4, PRECISION_DRAWS = 2 * PRECISION_MOVES };
struct precision_results {
    const double *exact, *low, *moved[PRECISION_DRAWS];
    size_t size;
};
/* By how much inputs move in draw m. */
double precision_unit(const struct gradcheck_precision *p, size_t m);

/* The line that compares them, for results of a chain of so many operations. */
struct gradcheck_line precision_line(const struct gradcheck_precision *p,
                                     const struct precision_results *r, double chain);

/* x times (1 + unit delta), delta uniform in [-1, 1]. */
double precision_move(double x, double unit, uint64_t *random);

/* The worse of two errors. Not a number is the worst, and stays. */
static inline double worse(double a, double b)
{
    return isnan(a) || a >= b ? a : b;
}

/* Elements of arrays of a number type. */
double number_get(enum number n, const void *array, size_t i);
void number_put(enum number n, void *array, size_t i, double re, double im);
size_t number_size(enum number n);

/* Random numbers of the checker: a stream from a seed (splitmix64; Steele, Lea and Flood 2014, doi:10.1145/2660193.2660195). */
uint64_t random_bits(uint64_t *state);
double random_normal(uint64_t *state);
/* A direction of length 1. */
void random_direction(double *v, size_t n, uint64_t *state);

#endif
