/* gradcheck_model.h: what the parts of the model's check share (gradcheck_model.c, gradcheck_model_precision.c). */
#ifndef GRADCHECK_MODEL_H
#define GRADCHECK_MODEL_H

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
    double *value, *before, *gradient,
        *direction; /* parameters; grads before; what was added; a direction */
    int failed;
};

/* Of the sequences from first_row on. */
struct dropout model_dropout(const struct model_check *k, size_t first_row);

/* Fills in what all lines of a case share and the verdict, counts, and hands the line on. */
void model_report(struct model_check *k, const char *tensor, struct gradcheck_line *line);

/* Loss, logits and every gradient of the builds of few digits against the double one's; the parameters hold k->value. -1 where
 * memory is short. */
int check_model_precision(struct model_check *k);

#endif
