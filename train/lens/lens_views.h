/* lens_views.h: an inspection as text (lens_print.c) and as pictures (lens_draw.c). */
#pragma once

#include "base/terminal.h"
#include "train/lens/inspection.h"
#include "train/report/drawing.h"
#include "train/report/heatmap.h"
#include <stdio.h>

/* A line for each position: the token, the next one, its loss and probability, and the k most
 * likely. */
int lens_print_predictions(FILE *f, const struct terminal *t, struct inspection *in, size_t k,
                           struct error *err);
/* A line for each position: the most likely next token after the embedding and after every block.
 */
int lens_print_depths(FILE *f, const struct terminal *t, struct inspection *in, struct error *err);
/* Bars: the norm of one loss's gradient at every token. Call inspection_gradient(in, position)
 * first. */
void lens_print_gradient(FILE *f, const struct terminal *t, const struct inspection *in,
                         size_t position);

/* For lens_maps: every layer, every head. */
enum { LENS_ALL = -1 };

/* The attention maps of the text. Free them with heatmaps_destroy. */
int lens_maps(struct heatmaps *h, struct inspection *in, long layer, long head, struct error *err);

/* Bars: the norm of one loss's gradient at every token. Call inspection_gradient(in, position)
 * first. */
void lens_draw_gradient(struct drawing *d, const struct inspection *in, size_t position);
