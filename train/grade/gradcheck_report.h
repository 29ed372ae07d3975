/* gradcheck_report.h: options, table and functions of `handgrad gradcheck`. */
#pragma once

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

/* The columns of the table. Of the last ones, which have a limit each, a cell holds the error
 * closest to its limit; of the others, the largest error. */
enum { COLUMN_COMPLEX, COLUMN_CONTRACT, COLUMN_CENTRAL, COLUMN_PRECISION };
enum { GRADCHECK_COLUMNS = COLUMN_PRECISION + GRADCHECK_PRECISIONS };

/* One row of the table: a tensor of a subject, over all its cases. */
struct gradcheck_row {
    char tensor[52];
    struct gradcheck_cell {
        double error, limit; /* error negative: not checked */
    } cell[GRADCHECK_COLUMNS];
    bool ok;
};

enum { GRADCHECK_ROWS = 64, GRADCHECK_FAILURES = 3 };

struct gradcheck_report {
    bool json;
    struct gradcheck_row row[GRADCHECK_ROWS];
    size_t rows;
    struct gradcheck_line failure[GRADCHECK_FAILURES]; /* the first ones of this subject */
    size_t failures;                                   /* of this subject, at most as many */
    size_t comparisons, failed;                        /* of all subjects */
};

/* The report function of struct gradcheck: collects one line, or prints it as JSON. */
void gradcheck_collect(void *report, const struct gradcheck_line *line);
void gradcheck_print_heading(void);
/* Prints what was collected of a subject, and clears it. */
void gradcheck_print_rows(struct gradcheck_report *report, const char *subject);

/* Each returns an exit status: 0, or 1 if a check fails or err is filled in. */
int gradcheck_run(const struct gradcheck_options *o, struct error *err);
int gradcheck_print_mistakes(const struct gradcheck_options *o, struct error *err);
int gradcheck_print_sweep(const struct gradcheck_options *o, struct error *err);
int gradcheck_diagnose(const struct gradcheck_options *o, struct error *err);
int gradcheck_write_template(const struct gradcheck_options *o, struct error *err);
