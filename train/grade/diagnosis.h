/* diagnosis.h: finds out what is wrong with a student's forward or backward. */
#pragma once

#include "base/error.h"
#include "train/grade/finding.h"

/* Diagnoses the forward and the backward of an operation that a shared object defines, in double
 * and of the types in handgrad_op.h. They run in another process, with limits on time and memory.
 * Returns -1 if there is no verdict: the file cannot be loaded, or its code crashes, ends the
 * process or does not return. */
int diagnose(struct diagnosis *d, enum op op, const char *path, struct error *err);
