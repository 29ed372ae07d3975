/* drawing.c: see drawing.h. */
#include "train/report/drawing.h"
#include "base/atomic.h"
#include <cairo-pdf.h>
#include <cairo-svg.h>
#include <dlfcn.h>
#include <math.h>
#include <pango/pangocairo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MARGIN = 16,
    PNG_SCALE = 2,
    PNG_SIDE_MAX = 32767 /* pixels; Cairo's limit */
};

static const char TEXT[] = "Sans 12px", TITLE[] = "Sans 16px";

static void *libraries;

/* Looks up a function of Cairo, Pango or GLib. */
static void *find(const char *function)
{
    void *found = dlsym(libraries, function);
    if (!found) {
        fprintf(stderr, "handgrad: drawing needs a newer Cairo or Pango: %s is missing\n",
                function);
        exit(1);
    }
    return found;
}
#define CAIRO(function) ((__typeof__(cairo_##function) *)find("cairo_" #function))
#define PANGO(function) ((__typeof__(pango_##function) *)find("pango_" #function))

struct drawing {
    cairo_surface_t *recording;
    cairo_t *context; /* draws on it */
    PangoLayout *layout;
};

enum format { PNG, SVG, PDF, FORMATS };

static enum format format_of(const char *path)
{
    static const char *const endings[FORMATS] = {".png", ".svg", ".pdf"};
    const size_t n = strlen(path);
    enum format format = PNG;
    while (format < FORMATS && (n < 5 || strcmp(path + n - 4, endings[format])))
        format++;
    return format;
}

int drawing_check_name(const char *path, struct error *err)
{
    return format_of(path) < FORMATS
               ? 0
               : fail(err, "%s: expected a file name that ends in .png, .svg or .pdf", path);
}

static void drawing_destroy(struct drawing *d)
{
    ((void (*)(void *))find("g_object_unref"))(d->layout);
    CAIRO(destroy)(d->context);
    CAIRO(surface_destroy)(d->recording);
    free(d);
}

static void set_text(struct drawing *d, const char *font, const char *text)
{
    PangoFontDescription *description = PANGO(font_description_from_string)(font);
    PANGO(layout_set_font_description)(d->layout, description);
    PANGO(font_description_free)(description);
    PANGO(layout_set_text)(d->layout, text, -1);
}

struct drawing *drawing_create(struct error *err)
{
    libraries = dlopen("libpangocairo-1.0.so.0", RTLD_NOW); /* loads the others */
    if (!libraries) {
        fail(err, "drawing needs Cairo and Pango: %s", dlerror());
        return NULL;
    }
    struct drawing *d = malloc(sizeof *d);
    if (!d) {
        fail(err, "no memory for a picture");
        return NULL;
    }
    d->recording = CAIRO(recording_surface_create)(CAIRO_CONTENT_COLOR_ALPHA, NULL);
    d->context = CAIRO(create)(d->recording);
    d->layout = PANGO(cairo_create_layout)(d->context);
    set_text(d, TITLE, "0");
    if (PANGO(layout_get_unknown_glyphs_count)(d->layout) == 0)
        return d;
    drawing_destroy(d);
    fail(err, "drawing needs a font, such as DejaVu (fonts-dejavu-core): none is installed");
    return NULL;
}

/* --- drawing --- */

static void set_colour(struct drawing *d, uint32_t colour)
{
    const double r = colour >> 16 & 0xff, g = colour >> 8 & 0xff, b = colour & 0xff;
    CAIRO(set_source_rgb)(d->context, r / 255, g / 255, b / 255);
}

void drawing_rectangle(struct drawing *d, double x, double y, double width, double height,
                       uint32_t colour)
{
    set_colour(d, colour);
    CAIRO(rectangle)(d->context, x, y, width, height);
    CAIRO(fill)(d->context);
}

void drawing_line(struct drawing *d, const double (*points)[2], size_t n, double width,
                  const double dash[2], uint32_t colour)
{
    set_colour(d, colour);
    CAIRO(set_line_width)(d->context, width);
    CAIRO(set_dash)(d->context, dash, dash ? 2 : 0, 0);
    CAIRO(move_to)(d->context, points[0][0], points[0][1]);
    for (size_t i = 1; i < n; i++)
        CAIRO(line_to)(d->context, points[i][0], points[i][1]);
    CAIRO(stroke)(d->context);
}

/* An image of as many pixels as a PNG has: viewers of SVG blur an image of one pixel per cell. */
void drawing_cells(struct drawing *d, double x, double y, size_t size, size_t n,
                   const uint32_t *colours)
{
    const size_t scale = PNG_SCALE * size, side = n * scale;
    cairo_surface_t *image = CAIRO(image_surface_create)(CAIRO_FORMAT_RGB24, (int)side, (int)side);
    uint32_t *pixels = (uint32_t *)CAIRO(image_surface_get_data)(image);
    for (size_t i = 0; pixels && i < side * side; i++)
        pixels[i] = colours[i / side / scale * n + i % side / scale];
    CAIRO(surface_mark_dirty)(image);
    CAIRO(surface_set_device_scale)(image, PNG_SCALE, PNG_SCALE);
    CAIRO(set_source_surface)(d->context, image, x, y);
    CAIRO(paint)(d->context);
    CAIRO(surface_destroy)(image);
}

static void draw_text(struct drawing *d, double x, double y, const char *font,
                      enum text_anchor anchor, uint32_t colour, const char *text)
{
    int width;
    set_text(d, font, text);
    set_colour(d, colour);
    PANGO(layout_get_size)(d->layout, &width, NULL);
    CAIRO(save)(d->context);
    CAIRO(translate)(d->context, x, y);
    CAIRO(rotate)(d->context, anchor & TEXT_UPWARDS ? -M_PI / 2 : 0);
    CAIRO(move_to)(d->context, -0.5 * (anchor & 3) * width / PANGO_SCALE, 0);
    PANGO(cairo_show_layout_line)(d->context, PANGO(layout_get_line_readonly)(d->layout, 0));
    CAIRO(restore)(d->context);
}

void drawing_text(struct drawing *d, double x, double y, enum text_anchor anchor, uint32_t colour,
                  const char *text)
{
    draw_text(d, x, y, TEXT, anchor, colour, text);
}

void drawing_title(struct drawing *d, const char *text)
{
    double x, y, width, height;
    CAIRO(recording_surface_ink_extents)(d->recording, &x, &y, &width, &height);
    draw_text(d, x, y - MARGIN, TITLE, TEXT_START, INK, text);
}

/* --- saving --- */

static cairo_status_t append(void *file, const unsigned char *bytes, unsigned n)
{
    return fwrite(bytes, 1, n, file) == n ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_WRITE_ERROR;
}

static cairo_status_t render(const struct drawing *d, enum format format, FILE *out)
{
    double x, y, width, height, scale = 0.75; /* points per pixel */
    cairo_surface_t *surface;
    CAIRO(recording_surface_ink_extents)(d->recording, &x, &y, &width, &height);
    width += 2 * MARGIN;
    height += 2 * MARGIN;
    if (format == PNG) {
        scale = fmin(PNG_SCALE, PNG_SIDE_MAX / fmax(width, height));
        surface = CAIRO(image_surface_create)(CAIRO_FORMAT_RGB24, width * scale, height * scale);
    } else
        surface = (format == SVG ? CAIRO(svg_surface_create_for_stream)
                                 : CAIRO(pdf_surface_create_for_stream))(append, out, width * scale,
                                                                         height * scale);
    CAIRO(surface_set_device_scale)(surface, scale, scale);
    cairo_t *context = CAIRO(create)(surface);
    CAIRO(set_source_rgb)(context, 1, 1, 1);
    CAIRO(paint)(context);
    CAIRO(set_source_surface)(context, d->recording, MARGIN - floor(x), MARGIN - floor(y));
    CAIRO(paint)(context);
    cairo_status_t status = CAIRO(status)(context);
    if (!status && format == PNG)
        status = CAIRO(surface_write_to_png_stream)(surface, append, out);
    CAIRO(surface_finish)(surface);
    if (!status)
        status = CAIRO(surface_status)(surface);
    CAIRO(destroy)(context);
    CAIRO(surface_destroy)(surface);
    return status;
}

int drawing_save(struct drawing *d, const char *path, struct error *err)
{
    char *bytes = NULL;
    size_t size;
    FILE *out = open_memstream(&bytes, &size);
    cairo_status_t status = out ? CAIRO(status)(d->context) : CAIRO_STATUS_NO_MEMORY;
    if (!status)
        status = render(d, format_of(path), out);
    if (out && fclose(out) && !status)
        status = CAIRO_STATUS_NO_MEMORY;
    drawing_destroy(d);
    const int result = status ? fail(err, "%s: the picture cannot be drawn: %s", path,
                                     CAIRO(status_to_string)(status))
                              : atomic_write(path, bytes, size, err);
    free(bytes);
    return result;
}
