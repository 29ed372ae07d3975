/* diagnosis_trial.h: one case of an operation, computed by the right functions and by given ones on the
 * same numbers. */
#ifndef DIAGNOSIS_TRIAL_H
#define DIAGNOSIS_TRIAL_H

#include "model/check/harness.h"

/* The tensors of one run. Guards on both sides of each show accesses outside of it. */
struct set {
    double *memory[OP_TENSORS_MAX];
    void *x[OP_TENSORS_MAX];
};

struct trial {
    struct harness h;
    struct set forward; /* results of the right forward */
    struct set saved;   /* a copy, which backwards read */
    struct set given_forward;
    struct set right, given, other; /* gradients: the right ones, the given ones, a candidate's */
    uint32_t *symbols;              /* a copy of the case's ids and targets */
};

/* Computes the right results. Returns -1 if memory is short; call trial_destroy in either case. */
int trial_create(struct trial *t, const struct gradcheck_subject *s, const struct op_case *c,
                 uint64_t seed);
void trial_destroy(struct trial *t);

/* Run a forward from the inputs of the case, and a backward of the forward in x into gradients that
 * already hold random numbers. */
void trial_forward(struct set *s, const struct harness *h, const struct op_code *code);
void trial_backward(struct set *dx, struct set *x, const struct harness *h,
                    const struct op_code *code);

/* What the gradient of tensor k held before the backward. */
void trial_start(double *start, const struct harness *h, size_t k);

/* Whether a backward has changed any gradient. */
bool trial_touched(const struct set *dx, const struct harness *h);

/* The tensor whose guards were overwritten, or the number of tensors. */
size_t trial_overrun(const struct set *s, const struct harness *h);

/* Whether ids and targets are unchanged. */
bool trial_symbols_kept(const struct trial *t);

#endif
