/* finding.h: what a diagnosis finds out. */
#pragma once

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
