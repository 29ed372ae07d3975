/* diagnosis.h: what is wrong with somebody's own forward or backward. */
#ifndef DIAGNOSIS_H
#define DIAGNOSIS_H

#include "model/check/op_code.h"
#include <stdbool.h>

enum verdict { NOT_GIVEN, RIGHT, KNOWN_MISTAKE, UNKNOWN_MISTAKE };

struct diagnosis {
    char doing[192]; /* the call that is running, for one that never returns; "" once done */
    enum verdict forward, backward;
    char forward_text[768], backward_text[768]; /* one sentence each */
    bool out_of_memory;
};

/* Looks at a forward and a backward (NULL where not given) with the natural signatures, in double, of operation op. */
void diagnose(struct diagnosis *d, enum op op, op_function *forward, op_function *backward);

#endif
