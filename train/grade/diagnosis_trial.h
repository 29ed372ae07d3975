/* diagnosis_trial.h: one case of an operation, run by the right functions and by those in question, on the same numbers. */
#ifndef DIAGNOSIS_TRIAL_H
#define DIAGNOSIS_TRIAL_H

#include "model/check/harness.h"

/* The tensors of one run, each between guards. */
struct set {
    double *room[OP_TENSORS_MAX];
    void *x[OP_TENSORS_MAX];
};

/* One case of the operation: the right results, and those of the function in question. */
struct trial {
    struct harness b;
    struct set forward, saved, given_forward; /* right; its copy, that a backward reads; theirs */
    struct set right, given, other;           /* gradients: right, theirs, a candidate's */
    uint32_t *symbols;                        /* a copy of the case's ids and targets */
};

/* -1 where memory is short; trial_destroy in either case. Fills in what is right. */
int trial_create(struct trial *t, const struct gradcheck_subject *s, const struct op_case *c,
                 uint64_t seed);
void trial_destroy(struct trial *t);

/* A forward into s, from the case's inputs; a backward into dx, over random numbers, of what x holds. c is the bench's case, with
 * the faults that a plain operation is to make. */
void trial_forward(struct set *s, const struct harness *b, const struct op_code *code,
                   const struct op_case *c);
void trial_backward(struct set *dx, struct set *x, const struct harness *b,
                    const struct op_code *code, const struct op_case *c);

/* What stood in the gradient of tensor k before a backward. */
void trial_start(double *start, const struct harness *b, size_t k);

/* Has a backward changed any gradient? */
bool trial_touched(const struct set *dx, const struct harness *b);

/* The tensor whose guards were written to, or the number of tensors. */
size_t trial_overrun(const struct set *s, const struct harness *b);

/* Are ids and targets as they were? */
bool trial_symbols_kept(const struct trial *t);

#endif
