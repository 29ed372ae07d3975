/* heatmap.h: weights between 0 and 1 as pictures: of characters, as SVG, as PNG. A zero is left unpainted, so that what is exactly
 * zero looks like nothing, and what is merely small does not. */
#ifndef HEATMAP_H
#define HEATMAP_H

#include "base/error.h"
#include "base/terminal.h"
#include "train/report/canvas.h"
#include <stdio.h>

/* A square map of `side` rows (queries, downwards) and columns (keys). */
struct heatmap {
    char title[64];
    size_t side;
    const float *values;       /* (side, side), the caller's */
    const char *const *labels; /* (side): of rows and columns; visible.h */
};

/* Maps of one side beside each other, `columns` in a row. A single map has its labels along both axes. */
struct heatmaps {
    char title[256];
    size_t n, columns;
    const struct heatmap *maps;
};

/* The colour of a weight: viridis over its square root, since most weights are small. */
struct rgb heatmap_colour(double weight);

/* Cells of a side where at most `limit` are wanted, and how many of the map's make one. */
size_t heatmap_cells(size_t *step, size_t side, size_t limit);
/* The largest weight in rows x columns of the map from (row, column) on. */
double heatmap_cell(const struct heatmap *m, size_t row, size_t rows, size_t column,
                    size_t columns);

void heatmap_terminal(const struct heatmaps *h, const struct terminal *t, FILE *f);
/* Draws them on a canvas that `create` makes; NULL where memory is short. */
struct canvas *heatmap_draw(const struct heatmaps *h,
                            struct canvas *(*create)(double width, double height));

#endif
