/* diagnosis_trial.h: one case of an operation, computed by the right functions and by given ones on
 * the same numbers. */
#pragma once

#include "model/check/harness.h"

/* The tensors of one run. Guards on both sides of each show accesses outside of it. */
struct set {
    double *memory[OP_TENSORS_MAX];
    void *x[OP_TENSORS_MAX];
};

enum direction { FORWARD, BACKWARD };

/* The results of a forward are its tensors, those of a backward are gradients. */
struct trial {
    struct harness h;
    union {
        struct set sets[7];
        struct {
            struct set right[2], given[2]; /* results by direction, */
            struct set other;              /* and those of a candidate */
            struct set saved;              /* of the right forward: what backwards read */
            struct set start;              /* the gradients before a backward */
        };
    };
    char sizes[96];    /* of the case, as text */
    uint32_t *symbols; /* a copy of the case's ids and targets */
};

/* Computes the right results. Returns -1 if memory is short; call trial_destroy in either case. */
int trial_create(struct trial *t, const struct gradcheck_subject *s, const struct op_case *c,
                 uint64_t seed);
void trial_destroy(struct trial *t);

/* Runs a forward from the inputs of the case, or a backward from `saved`, which adds to gradients
 * that already hold random numbers. */
void trial_run(struct trial *t, struct set *out, const struct op_code *code, enum direction way);

/* Whether the given backward has changed any gradient. */
bool trial_touched(const struct trial *t);

/* The tensor whose guards were overwritten, or the number of tensors. */
size_t trial_overrun(const struct set *s, const struct harness *h);

/* Whether ids and targets are unchanged. */
bool trial_symbols_kept(const struct trial *t);
