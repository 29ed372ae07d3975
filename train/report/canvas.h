/* canvas.h: what a picture is drawn on: SVG as text, or the pixels of a PNG. Lengths are SVG's pixels; a PNG has two of its own
 * for each. */
#ifndef CANVAS_H
#define CANVAS_H

#include "base/error.h"
#include <stdio.h>

struct rgb {
    unsigned char r, g, b;
};

enum text_anchor { TEXT_LEFT, TEXT_MIDDLE, TEXT_RIGHT };

struct canvas;

/* A white picture; NULL where memory is short. canvas_write ends it and frees it whatever comes; 0, or -1 where f cannot be
 * written. */
struct canvas *canvas_svg(double width, double height);
struct canvas *canvas_png(double width, double height);
int canvas_write(struct canvas *c, FILE *f, struct error *err);

void canvas_rectangle(struct canvas *c, double x, double y, double width, double height,
                      struct rgb colour);
/* Letters of one width, 0.6 of the size. (x, y) is on the base line, at the anchor; upwards turns it a quarter to the left. */
void canvas_text(struct canvas *c, double x, double y, double size, enum text_anchor anchor,
                 int upwards, struct rgb colour, const char *text);

#endif
