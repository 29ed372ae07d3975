/* gradcheck_report.h: what the parts of `handgrad gradcheck` share. */
#ifndef GRADCHECK_REPORT_H
#define GRADCHECK_REPORT_H

#include "base/error.h"
#include "model/check/gradcheck.h"
#include <stdbool.h>
#include <stdio.h>

struct gradcheck_options {
    bool op[OPS], model, optimiser; /* what to check */
    unsigned methods;
    uint64_t seed;
    bool json, mistakes, sweep;
    enum op diagnosed, template; /* OPS: none */
    const char *library, *output;
};

/* One row of the table: a tensor of a subject, over all its cases. */
struct gradcheck_row {
    char tensor[52];
    double complex, definition;      /* worst errors; negative: not looked at */
    double central, central_allowed; /* those that came nearest to their bar */
    double low[GRADCHECK_PRECISIONS], low_allowed[GRADCHECK_PRECISIONS];
    bool ok;
};

enum { GRADCHECK_ROWS = 64, GRADCHECK_FAILURES = 3 };

struct gradcheck_report {
    bool json;
    struct gradcheck_row row[GRADCHECK_ROWS];
    size_t rows;
    struct gradcheck_line failure[GRADCHECK_FAILURES]; /* the first of this subject */
    size_t failures, comparisons, failed;              /* of this subject; of all */
};

/* Collects (or, as JSON, prints) one line: struct gradcheck's report. */
void gradcheck_collect(void *report, const struct gradcheck_line *line);
void gradcheck_print_heading(void);
/* Prints and forgets what was collected of a subject. */
void gradcheck_print_rows(struct gradcheck_report *report, const char *subject);

/* Each returns an exit code: 0, 1 where a check fails or err is filled in. */
int gradcheck_print_mistakes(const struct gradcheck_options *o, struct error *err);
int gradcheck_print_sweep(const struct gradcheck_options *o, struct error *err);
int gradcheck_diagnose(const struct gradcheck_options *o, struct error *err);
int gradcheck_write_template(const struct gradcheck_options *o, struct error *err);

#endif
