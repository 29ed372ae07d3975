/* investigation.h: what diagnosis.c and difference.c share. */
#pragma once

#include "train/grade/diagnosis_candidates.h"
#include "train/grade/finding.h"
#include "train/grade/worker.h"

/* Larger errors are mistakes. */
#define DIAGNOSIS_TOLERANCE 1e-12

struct investigation {
    struct diagnosis *d;
    struct gradcheck_subject subject;
    struct worker worker;
    struct trial *trial;
    size_t trials;
    const struct trial *stopped; /* the call that did not return */
    enum direction way;
    struct planted candidate[CANDIDATES_MAX];
    size_t candidates;
};

/* A result that has a name of its own: a tensor, or the columns of qkv that hold q, k or v. */
struct part {
    size_t k; /* the tensor */
    char name[OP_NAME_MAX + 2];
    size_t first, columns, row; /* element i is at (i / columns) row + first + i % columns */
    size_t n;                   /* elements */
};

/* The parts that are compared in a trial: results of a forward, gradients of a backward and what
 * the backward of the loss writes. Returns their number. */
size_t parts_of(struct part parts[RESULTS_MAX], const struct investigation *v,
                const struct trial *t);
static inline size_t part_at(const struct part *p, size_t i)
{
    return i / p->columns * p->row + p->first + i % p->columns;
}
/* The given numbers of a part's tensor. */
const double *given_of(const struct investigation *v, const struct trial *t, const struct part *p);
/* The right ones, or those of a candidate. */
const double *expected_of(const struct investigation *v, const struct trial *t,
                          const struct part *p, const struct set *expected);
/* |given - expected| / |expected| */
double part_error(const struct investigation *v, const struct trial *t, const struct part *p,
                  const struct set *expected);
/* The largest error of a trial. */
double worst_error(const struct investigation *v, const struct trial *t,
                   const struct set *expected);

/* Sets the verdict; the format continues "your layernorm_backward ". */
void answer(const struct investigation *v, enum verdict verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Describes the first difference that no known mistake explains. */
void describe_difference(const struct investigation *v);
/* Fills in the results and how many cases passed. */
void list_results(const struct investigation *v);
