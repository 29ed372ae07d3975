/* curves.h: rows of numbers of a growing run in bounded memory, with their extremes.
 *
 * A row is an x (the step) and a number for each column. Rows are gathered in buckets of `width`
 * consecutive rows, which keep the minimum, maximum and mean of each column. When all buckets are
 * full, neighbours are merged and the width doubles. So a run of any length has at least half of
 * its buckets in use, a spike of one step stays visible, and adding a row takes amortised constant
 * time. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct curve_cell {
    double mean, low, high, first; /* of the finite numbers; NAN if there are none */
    double n;                      /* how many there are */
};

struct curves {
    size_t columns, capacity; /* capacity: buckets, even */
    size_t count;             /* buckets in use; the last one may not be full */
    uint64_t width, rows;     /* rows per bucket, and in all */
    double *x;                /* (count): of a bucket's first row */
    struct curve_cell *cells; /* (count,columns) */
};

/* Returns -1 if out of memory. */
int curves_create(struct curves *c, size_t columns, size_t capacity);
void curves_destroy(struct curves *c);
/* Removes all rows. */
void curves_clear(struct curves *c);

/* values (columns); those that are not finite count as missing. */
void curves_add(struct curves *c, double x, const double *values);
