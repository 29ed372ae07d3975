/* lens_draw.h: pictures of an inspection. */
#pragma once

#include "train/lens/inspection.h"
#include "train/report/drawing.h"
#include "train/report/heatmap.h"

/* For lens_maps: every layer, every head. */
enum { LENS_ALL = -1 };

/* The attention maps of the text. Free them with heatmaps_destroy. */
int lens_maps(struct heatmaps *h, struct inspection *in, long layer, long head, struct error *err);

/* Bars: the norm of one loss's gradient at every token. Call inspection_gradient(in, position)
 * first. */
void lens_draw_gradient(struct drawing *d, const struct inspection *in, size_t position);
