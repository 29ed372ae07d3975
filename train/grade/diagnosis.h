/* diagnosis.h: finds out what is wrong with a student's forward or backward. */
#pragma once

#include "base/error.h"
#include "model/check/mistakes.h"
#include <stdbool.h>

enum verdict { NOT_GIVEN, RIGHT, KNOWN_MISTAKE, UNKNOWN_MISTAKE };
enum { RESULTS_MAX = OP_TENSORS_MAX + 2, PRINTED_MAX = 4096 };

struct diagnosis {
    struct finding {
        enum verdict verdict;
        char text[768]; /* one sentence */
        const struct mistake *mistake[2];
        size_t cases, passed;
        struct result { /* of a backward: gradients */
            char name[OP_NAME_MAX + 2];
            double error; /* the largest of all cases, relative, in the Euclidean norm */
            bool right;
        } result[RESULTS_MAX];
        size_t results;
    } finding[2];              /* forward, backward */
    char printed[PRINTED_MAX]; /* the beginning of what the code has printed */
};

/* Diagnoses the forward and the backward of an operation that a shared object defines, in double
 * and of the types in handgrad_op.h. They run in another process, with limits on time and memory.
 * Returns -1 if there is no verdict: the file cannot be loaded, or its code crashes, ends the
 * process or does not return. */
int diagnose(struct diagnosis *d, enum op op, const char *path, struct error *err);
