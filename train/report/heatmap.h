/* heatmap.h: square maps of weights between 0 and 1 as coloured cells, in a terminal or a drawing.
 * A weight of zero is left blank, so that an exact zero differs from a small weight. */
#pragma once

#include "base/printable.h"
#include "base/terminal.h"
#include "train/report/drawing.h"
#include <stdio.h>

/* Maps of equal size. A single one is drawn large, with labels along both axes. */
struct heatmaps {
    char title[256];
    size_t n, columns; /* maps, and how many to draw side by side */
    size_t side;       /* rows (queries, downwards) and columns (keys) of each map */
    float *values;     /* (n, side, side) */
    char (*names)[64]; /* (n) */
    struct heatmap_label {
        char text[PRINTABLE_MAX];
        size_t columns; /* of a terminal */
    } * labels;         /* (side): of rows and columns */
};

/* Allocates the arrays for n maps. Returns -1 if out of memory. */
int heatmaps_create(struct heatmaps *h, size_t n, size_t side);
void heatmaps_destroy(struct heatmaps *h);

/* The colour of a weight, 0xRRGGBB: viridis over its square root, because most weights are small.
 */
uint32_t heatmap_colour(double weight);

/* The cells of a map: each shows the largest of step x step weights. */
struct heatmap_grid {
    size_t cells, step; /* cells a side */
    size_t size;        /* of a cell, in pixels or in columns of the terminal */
};
/* A grid of at most `limit` cells a side. */
struct heatmap_grid heatmap_grid(size_t side, size_t limit);
/* The weight that a cell shows. */
double heatmap_cell(const struct heatmaps *h, struct heatmap_grid g, size_t map, size_t row,
                    size_t column);

void heatmap_terminal(const struct heatmaps *h, const struct terminal *t, FILE *f);
void heatmap_draw(const struct heatmaps *h, struct drawing *d);
