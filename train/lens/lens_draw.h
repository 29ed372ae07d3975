/* lens_draw.h: what a reading shows, as pictures. */
#ifndef LENS_DRAW_H
#define LENS_DRAW_H

#include "train/lens/inspection.h"
#include "train/report/canvas.h"
#include "train/report/heatmap.h"

/* Which attention maps: a layer or all, a head or all. */
enum { LENS_ALL = -1 };

/* The maps of a text, in memory of their own. Free with lens_maps_free. */
int lens_maps(struct heatmaps *h, struct inspection *r, long layer, long head, struct error *err);
void lens_maps_free(struct heatmaps *h);

/* Bars: the norm of one loss's gradient at every token. inspection_gradient(r, position) comes before. NULL where memory is short. */
struct canvas *lens_draw_gradient(const struct inspection *r, size_t position,
                                  struct canvas *(*create)(double, double));

#endif
