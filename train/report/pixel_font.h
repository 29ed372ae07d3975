/* pixel_font.h: letters of 5 x 8 dots, for pictures that no library writes on. */
#ifndef PIXEL_FONT_H
#define PIXEL_FONT_H

#include <stdint.h>

enum { GLYPH_WIDTH = 5, GLYPH_HEIGHT = 8, GLYPH_ADVANCE = 6 };

/* Eight rows, each '@' and five bits, the leftmost the highest: ASCII, and the signs that visible.h uses. NULL for others. */
const char *pixel_glyph(uint32_t code_point);

#endif
