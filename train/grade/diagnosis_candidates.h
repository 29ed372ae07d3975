/* diagnosis_candidates.h: the mistakes that an operation may contain: its own and those of its
 * parts, each at one place or at every place. */
#pragma once

#include "model/check/mistakes.h"

enum { CANDIDATES_MAX = 320 };

/* Fills in the candidates of an operation, its own mistakes first, and returns their number. */
size_t candidates_of(struct planted list[CANDIDATES_MAX], enum op op);

/* Writes `"mean of g dropped" in ln_1`. */
void candidate_name(char *text, size_t size, enum op op, const struct planted *candidate);
