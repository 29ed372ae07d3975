/* diagnosis_candidates.h: the mistakes that an operation may contain: its own, and those of the operations it is made of, each in
 * one place or wherever that operation stands. */
#ifndef DIAGNOSIS_CANDIDATES_H
#define DIAGNOSIS_CANDIDATES_H

#include "model/check/mistakes.h"

/* Beside the single parts. */
enum { PART_ITSELF = OP_PARTS, PART_EVERY };

struct candidate {
    const struct mistake *mistake;
    unsigned part; /* of enum op_part, or one of the above */
};

enum { CANDIDATES_MAX = 320 };

/* Fills in those of an operation, its own first; returns how many. */
size_t candidates_of(struct candidate list[CANDIDATES_MAX], enum op op);

/* Adds a candidate to the faults that a plain operation makes. */
void candidate_plant(struct op_case *c, const struct candidate *candidate);

/* Writes `"mean of g dropped" in ln_1`. */
void candidate_name(char *text, size_t size, const struct candidate *candidate);

/* The functions' name of an operation: "layernorm", or "gelu" for both forms. */
const char *op_symbol(enum op op);

#endif
