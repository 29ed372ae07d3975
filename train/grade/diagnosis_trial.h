/* diagnosis_trial.h: one case of an operation, computed by the right functions and by given ones on
 * the same numbers. What the given functions read and write is shared with the process that runs
 * them (worker.h), all else is not. */
#pragma once

#include "model/check/harness.h"

/* The tensors of one run. Guards on both sides of each show accesses outside of it. */
struct set {
    double *memory;
    size_t length; /* of memory, in elements */
    void *x[OP_TENSORS_MAX];
};

enum direction { FORWARD, BACKWARD };

/* The results of a forward are its tensors, those of a backward are gradients. */
struct trial {
    struct harness h;
    union {
        struct set shared[4];
        struct {
            struct set given[2]; /* results by direction, */
            struct set again;    /* and of a second call */
            struct set lent;     /* what a given backward reads: as after the right forward */
        };
    };
    union {
        struct set own[4];
        struct {
            struct set right[2]; /* results by direction, */
            struct set other;    /* and those of a candidate */
            struct set start;    /* the gradients before a backward */
        };
    };
    struct set read;        /* what a right backward, or a candidate's, reads */
    struct op_case given_c; /* the case with shared copies of ids, targets and starts */
    char sizes[96];         /* of the case, as text */
};

/* Draws the case, and creates what is shared. Then, when the other process has started,
 * trial_complete computes the right results. Each returns -1 if memory is short; call
 * trial_destroy in either case. */
int trial_create(struct trial *t, const struct gradcheck_subject *s, const struct op_case *c,
                 uint64_t seed);
int trial_complete(struct trial *t);
void trial_destroy(struct trial *t);

/* Runs a forward from the inputs of the case, or a backward that adds to gradients that already
 * hold random numbers. */
void trial_run(struct trial *t, struct set *out, const struct op_code *code, enum direction way);

/* The same in two parts for given functions: prepares what they read and write; runs them, in the
 * other process. The results are in given[way], or of a second call in `again`. */
void trial_prepare(struct trial *t, enum direction way, bool again);
void trial_call(const struct trial *t, const struct op_code *code, enum direction way, bool again);

/* Whether the given backward has changed any gradient. */
bool trial_touched(const struct trial *t);

/* The tensor whose guards were overwritten, or the number of tensors. */
size_t trial_overrun(const struct set *s, const struct harness *h);

/* Whether ids, targets and starts are unchanged. */
bool trial_symbols_kept(const struct trial *t);
