/* curves.h: rows of numbers over a growing run, in bounded memory, with their extremes.
 *
 * A row is an x (the step) and a number for each column. Rows are gathered in buckets of `width` rows, which know the lowest, the
 * highest and the mean of each column. When CAPACITY buckets are full, neighbours are merged and the width doubles: a run of any
 * length is at least CAPACITY / 2 buckets, a spike of one step stays visible, and adding a row costs O(1), amortised.
 */
#ifndef CURVES_H
#define CURVES_H

#include <stddef.h>
#include <stdint.h>

struct curve_cell {
    double low, high, sum, first; /* of the numbers that are finite */
    uint64_t n;                   /* how many those are */
};

struct curves {
    size_t columns, capacity; /* capacity: buckets, even */
    size_t count;             /* buckets, the last of them perhaps not yet full */
    uint64_t width, rows;
    double *x;                /* (count) of a bucket's first row */
    struct curve_cell *cells; /* (count, columns) */
};

/* -1 where memory is short. */
int curves_create(struct curves *c, size_t columns, size_t capacity);
void curves_destroy(struct curves *c);
/* Forgets all rows. */
void curves_clear(struct curves *c);

/* values (columns); what is not finite counts as missing. */
void curves_add(struct curves *c, double x, const double *values);

/* NAN where the bucket has no number. */
double curve_mean(const struct curve_cell *cell);

#endif
