/* diagnosis.h: finds out what is wrong with a given forward or backward. */
#pragma once

#include "model/check/op_code.h"
#include <stdbool.h>

enum verdict { NOT_GIVEN, RIGHT, KNOWN_MISTAKE, UNKNOWN_MISTAKE };

struct diagnosis {
    char doing[192]; /* the call that is running, in case it does not return; "" between calls */
    struct finding {
        enum verdict verdict;
        char text[768]; /* one sentence */
    } finding[2];       /* forward, backward */
    bool out_of_memory;
};

/* Diagnoses a forward and a backward of an operation, in double and of the types in its header.
 * Either may be NULL. */
void diagnose(struct diagnosis *d, enum op op, op_function *forward, op_function *backward);
