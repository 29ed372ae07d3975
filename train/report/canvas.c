/* canvas.c: see canvas.h. The SVG canvas writes into memory; cells of one colour that follow each other become one path. The PNG
 * canvas paints pixels and hands them to libpng. */
#include "train/report/canvas.h"
#include "base/utf8.h"
#include "train/report/pixel_font.h"
#include <errno.h>
#include <math.h>
#include <png.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    SCALE = 2 /* of a PNG */,
    SMALL = 14 /* sizes up to it have dots of two pixels, larger ones of three */
};

struct canvas {
    double width, height;
    FILE *svg; /* into text */
    char *text;
    size_t length;
    bool path_open;
    struct rgb path;       /* its colour */
    unsigned char *pixels; /* (rows, columns, 3) */
    size_t rows, columns;
};

static struct canvas *canvas_create(double width, double height)
{
    struct canvas *c = calloc(1, sizeof *c);
    if (c) {
        c->width = width;
        c->height = height;
    }
    return c;
}

static void destroy(struct canvas *c)
{
    if (c->svg)
        fclose(c->svg);
    free(c->text);
    free(c->pixels);
    free(c);
}

/* --- SVG --- */

struct canvas *canvas_svg(double width, double height)
{
    struct canvas *c = canvas_create(width, height);
    if (!c || !(c->svg = open_memstream(&c->text, &c->length))) {
        free(c);
        return NULL;
    }
    fprintf(c->svg,
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %.0f %.0f' width='%.0f' "
            "height='%.0f' "
            "font-family='DejaVu Sans Mono, Menlo, Consolas, monospace'>\n<rect width='%.0f' "
            "height='%.0f' fill='white'/>\n",
            width, height, width, height, width, height);
    return c;
}

static void end_path(struct canvas *c)
{
    if (c->path_open)
        fputs("'/>\n", c->svg);
    c->path_open = false;
}

static void svg_rectangle(struct canvas *c, double x, double y, double width, double height,
                          struct rgb colour)
{
    if (c->path_open && memcmp(&c->path, &colour, sizeof colour) != 0)
        end_path(c);
    if (!c->path_open)
        fprintf(c->svg, "<path shape-rendering='crispEdges' fill='#%02x%02x%02x' d='", colour.r,
                colour.g, colour.b);
    c->path_open = true;
    c->path = colour;
    fprintf(c->svg, "M%g %gh%gv%gh%gz", x, y, width, height, -width);
}

static void svg_text(struct canvas *c, double x, double y, double size, enum text_anchor anchor,
                     int upwards, struct rgb colour, const char *text)
{
    static const char *const anchors[] = {"start", "middle", "end"};
    end_path(c);
    fprintf(c->svg, "<text font-size='%g' text-anchor='%s' fill='#%02x%02x%02x' ", size,
            anchors[anchor], colour.r, colour.g, colour.b);
    if (upwards)
        fprintf(c->svg, "transform='translate(%g %g) rotate(-90)'>", x, y);
    else
        fprintf(c->svg, "x='%g' y='%g'>", x, y);
    for (; *text; text++) {
        const char *entity = *text == '&'   ? "&amp;"
                             : *text == '<' ? "&lt;"
                             : *text == '>' ? "&gt;"
                                            : NULL;
        entity ? fputs(entity, c->svg) : fputc(*text, c->svg);
    }
    fputs("</text>\n", c->svg);
}

static int svg_write(struct canvas *c, FILE *f, struct error *err)
{
    end_path(c);
    fputs("</svg>\n", c->svg);
    if (ferror(c->svg) || fflush(c->svg))
        return fail(err, "no memory for the picture");
    return fwrite(c->text, 1, c->length, f) == c->length
               ? 0
               : fail(err, "the picture cannot be written: %s", strerror(errno));
}

/* --- PNG --- */

struct canvas *canvas_png(double width, double height)
{
    struct canvas *c = canvas_create(width, height);
    if (!c)
        return NULL;
    c->columns = (size_t)ceil(width * SCALE);
    c->rows = (size_t)ceil(height * SCALE);
    c->pixels = malloc(c->rows * c->columns * 3);
    if (!c->pixels) {
        free(c);
        return NULL;
    }
    memset(c->pixels, 0xff, c->rows * c->columns * 3);
    return c;
}

static void pixel_rectangle(struct canvas *c, double x, double y, double width, double height,
                            struct rgb colour)
{
    const long x0 = lrint(x * SCALE), y0 = lrint(y * SCALE), x1 = lrint((x + width) * SCALE),
               y1 = lrint((y + height) * SCALE);
    for (long row = y0 < 0 ? 0 : y0; row < y1 && row < (long)c->rows; row++)
        for (long column = x0 < 0 ? 0 : x0; column < x1 && column < (long)c->columns; column++)
            memcpy(c->pixels + ((size_t)row * c->columns + (size_t)column) * 3, &colour, 3);
}

/* The text as code points that the font has: others become <U+XXXX>. Returns how many; they go to out where it is not NULL. */
static size_t drawable(uint32_t *out, const char *text)
{
    size_t n = 0;
    for (size_t left = strlen(text); left;) {
        uint32_t c;
        const int length = utf8_decode(text, left, &c);
        char code[16];
        const size_t taken = length > 0 ? (size_t)length : 1;
        if (length > 0 && pixel_glyph(c)) {
            if (out)
                out[n] = c;
            n++;
        } else {
            snprintf(code, sizeof code, length > 0 ? "<U+%04X>" : "<%02X>",
                     length > 0 ? c : (unsigned char)*text);
            for (const char *p = code; *p; p++, n++)
                if (out)
                    out[n] = (unsigned char)*p;
        }
        text += taken;
        left -= taken;
    }
    return n;
}

static void pixel_text(struct canvas *c, double x, double y, double size, enum text_anchor anchor,
                       int upwards, struct rgb colour, const char *text)
{
    const double dot = size > SMALL ? 1.5 : 1;
    const size_t n = drawable(NULL, text);
    uint32_t *letters = calloc(n + 1, sizeof *letters);
    if (!letters)
        return;
    drawable(letters, text);
    double begin = -dot * (double)(n * GLYPH_ADVANCE) *
                   (anchor == TEXT_LEFT     ? 0
                    : anchor == TEXT_MIDDLE ? 0.5
                                            : 1);
    for (size_t i = 0; i < n; i++, begin += dot * GLYPH_ADVANCE) {
        const char *rows = pixel_glyph(letters[i]);
        for (int row = 0; row < GLYPH_HEIGHT; row++)
            for (int column = 0; column < GLYPH_WIDTH; column++) {
                if (!(rows[row] >> (GLYPH_WIDTH - 1 - column) & 1))
                    continue;
                const double along = begin + dot * column,
                             above = dot * (row - (GLYPH_HEIGHT - 1)); /* of the base line */
                pixel_rectangle(c, upwards ? x + above : x + along,
                                upwards ? y - along - dot : y + above, dot, dot, colour);
            }
    }
    free(letters);
}

static void png_failed(png_structp png, const char *message)
{
    snprintf(((struct error *)png_get_error_ptr(png))->text, sizeof(struct error),
             "the picture cannot be written: %s", message);
    png_longjmp(png, 1);
}

static int pixel_write(struct canvas *c, FILE *f, struct error *err)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, err, png_failed, NULL);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info) {
        png_destroy_write_struct(&png, NULL);
        return fail(err, "no memory for the picture");
    }
    if (setjmp(png_jmpbuf(png))) {
        png_destroy_write_struct(&png, &info);
        return -1;
    }
    png_init_io(png, f);
    png_set_IHDR(png, info, (png_uint_32)c->columns, (png_uint_32)c->rows, 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (size_t row = 0; row < c->rows; row++)
        png_write_row(png, c->pixels + row * c->columns * 3);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    return 0;
}

/* --- both --- */

void canvas_rectangle(struct canvas *c, double x, double y, double width, double height,
                      struct rgb colour)
{
    (c->svg ? svg_rectangle : pixel_rectangle)(c, x, y, width, height, colour);
}

void canvas_text(struct canvas *c, double x, double y, double size, enum text_anchor anchor,
                 int upwards, struct rgb colour, const char *text)
{
    (c->svg ? svg_text : pixel_text)(c, x, y, size, anchor, upwards, colour, text);
}

int canvas_write(struct canvas *c, FILE *f, struct error *err)
{
    const int status = (c->svg ? svg_write : pixel_write)(c, f, err);
    destroy(c);
    return status;
}
