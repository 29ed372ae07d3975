/* model_check.h: what the parts of the model's check share (model_check.c, model_precision.c). */
#pragma once

#include "model/check/gradcheck.h"
#include "model/check/harness.h"

struct model_case {
    struct model_config config;
    size_t B, T, accumulate; /* B is a multiple of accumulate */
    size_t document;         /* as in struct op_case */
};

struct model_check {
    const struct gradcheck *g;
    const struct gradcheck_model *subject;
    const struct model_case *c;
    void *model[NUMBERS];
    const struct tensors *tensors;
    uint32_t *ids, *targets, *start;
    struct batch batch;        /* all rows */
    double *value;             /* parameters */
    double *before, *gradient; /* what the gradients held before, and what was added */
    double *direction;
    int failed;
};

/* The dropout of the sequences from first_row on. */
struct dropout model_dropout(const struct model_check *k, size_t first_row);

/* Completes a line with what all lines of a case share, counts failures, and reports the line. */
void model_report(struct model_check *k, const char *tensor, struct gradcheck_line line);

/* Checks loss, logits and every gradient of the builds of low precision against the double build.
 * The parameters must hold k->value. Returns -1 if memory is short. */
int check_model_precision(struct model_check *k);
