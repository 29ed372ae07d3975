/* drawing.h: pictures of rectangles, lines, cells and text, saved as PNG, SVG or PDF.
 *
 * Cairo records what is drawn and plays it back in the format that the file's name asks for; Pango
 * lays out the text, in any script for which the system has a font. Lengths are SVG pixels; a PNG
 * has two pixels for each. Colours are 0xRRGGBB. The libraries are loaded by drawing_create:
 * linking them would add 5 ms to the start of every command. */
#pragma once

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INK = 0x222222 /* of text */ };
enum text_anchor { TEXT_START, TEXT_MIDDLE, TEXT_END, TEXT_UPWARDS = 4 };

struct drawing;

/* Fails unless a file's name ends in .png, .svg or .pdf. */
int drawing_check_name(const char *path, struct error *err);

/* An empty drawing. Returns NULL if Cairo, Pango or a font is missing, or out of memory. */
struct drawing *drawing_create(struct error *err);

/* Writes the drawing to a file whose name drawing_check_name accepts: what was drawn, with a
 * margin, on white. Destroys the drawing, even after an error. */
int drawing_save(struct drawing *d, const char *path, struct error *err);

void drawing_rectangle(struct drawing *d, double x, double y, double width, double height,
                       uint32_t colour);

/* A line through n points (x, y); dash: lengths of dash and gap, or NULL for a solid line. */
void drawing_line(struct drawing *d, const double (*points)[2], size_t n, double width,
                  const double dash[2], uint32_t colour);

/* n x n squares of `size` from (x, y), in colours (n,n). */
void drawing_cells(struct drawing *d, double x, double y, size_t size, size_t n,
                   const uint32_t *colours);

/* UTF-8 text whose start, middle or end is at x, with y on the base line. TEXT_UPWARDS, added to
 * the anchor, rotates it by 90 degrees counter-clockwise. */
void drawing_text(struct drawing *d, double x, double y, enum text_anchor anchor, uint32_t colour,
                  const char *text);
/* A title above all that was drawn so far. */
void drawing_title(struct drawing *d, const char *text);
