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

/* The functions to look up, without their prefix. */
#define CAIRO_FUNCTIONS(F)                                                                         \
    F(create)                                                                                      \
    F(destroy)                                                                                     \
    F(fill)                                                                                        \
    F(image_surface_create)                                                                        \
    F(image_surface_get_data)                                                                      \
    F(line_to)                                                                                     \
    F(move_to)                                                                                     \
    F(paint)                                                                                       \
    F(pdf_surface_create_for_stream)                                                               \
    F(recording_surface_create)                                                                    \
    F(recording_surface_ink_extents)                                                               \
    F(rectangle)                                                                                   \
    F(restore)                                                                                     \
    F(rotate)                                                                                      \
    F(save)                                                                                        \
    F(set_dash)                                                                                    \
    F(set_line_width)                                                                              \
    F(set_source_rgb)                                                                              \
    F(set_source_surface)                                                                          \
    F(status)                                                                                      \
    F(status_to_string)                                                                            \
    F(stroke)                                                                                      \
    F(surface_destroy)                                                                             \
    F(surface_finish)                                                                              \
    F(surface_mark_dirty)                                                                          \
    F(surface_status)                                                                              \
    F(surface_set_device_scale)                                                                    \
    F(surface_write_to_png_stream)                                                                 \
    F(svg_surface_create_for_stream)                                                               \
    F(translate)
#define PANGO_FUNCTIONS(F)                                                                         \
    F(cairo_create_layout)                                                                         \
    F(cairo_show_layout_line)                                                                      \
    F(font_description_free)                                                                       \
    F(font_description_from_string)                                                                \
    F(layout_get_line_readonly)                                                                    \
    F(layout_get_size)                                                                             \
    F(layout_get_unknown_glyphs_count)                                                             \
    F(layout_set_font_description)                                                                 \
    F(layout_set_text)

#define CAIRO_POINTER(name) __typeof__(cairo_##name) *name;
#define PANGO_POINTER(name) __typeof__(pango_##name) *name;
static struct {
    CAIRO_FUNCTIONS(CAIRO_POINTER)
} cairo;
static struct {
    PANGO_FUNCTIONS(PANGO_POINTER)
} pango;
static void (*unref)(void *object);

static int load_libraries(struct error *err)
{
    void *handle = dlopen("libpangocairo-1.0.so.0", RTLD_NOW); /* and all that it depends on */
    bool found = handle && (unref = (void (*)(void *))dlsym(handle, "g_object_unref"));
#define LOAD_CAIRO(name)                                                                           \
    found = found && (cairo.name = (__typeof__(cairo.name))dlsym(handle, "cairo_" #name));
#define LOAD_PANGO(name)                                                                           \
    found = found && (pango.name = (__typeof__(pango.name))dlsym(handle, "pango_" #name));
    CAIRO_FUNCTIONS(LOAD_CAIRO)
    PANGO_FUNCTIONS(LOAD_PANGO)
    return found ? 0 : fail(err, "drawing needs Cairo and Pango: %s", dlerror());
}

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

void drawing_destroy(struct drawing *d)
{
    unref(d->layout);
    cairo.destroy(d->context);
    cairo.surface_destroy(d->recording);
    free(d);
}

static void set_text(struct drawing *d, const char *font, const char *text)
{
    PangoFontDescription *description = pango.font_description_from_string(font);
    pango.layout_set_font_description(d->layout, description);
    pango.font_description_free(description);
    pango.layout_set_text(d->layout, text, -1);
}

struct drawing *drawing_create(struct error *err)
{
    if (load_libraries(err))
        return NULL;
    struct drawing *d = malloc(sizeof *d);
    if (!d) {
        fail(err, "no memory for a picture");
        return NULL;
    }
    d->recording = cairo.recording_surface_create(CAIRO_CONTENT_COLOR_ALPHA, NULL);
    d->context = cairo.create(d->recording);
    d->layout = pango.cairo_create_layout(d->context);
    set_text(d, TITLE, "0");
    if (pango.layout_get_unknown_glyphs_count(d->layout) == 0)
        return d;
    drawing_destroy(d);
    fail(err, "drawing needs a font, such as DejaVu (fonts-dejavu-core): none is installed");
    return NULL;
}

/* --- drawing --- */

static void set_colour(struct drawing *d, uint32_t colour)
{
    cairo.set_source_rgb(d->context, (colour >> 16 & 0xff) / 255.0, (colour >> 8 & 0xff) / 255.0,
                         (colour & 0xff) / 255.0);
}

void drawing_rectangle(struct drawing *d, double x, double y, double width, double height,
                       uint32_t colour)
{
    set_colour(d, colour);
    cairo.rectangle(d->context, x, y, width, height);
    cairo.fill(d->context);
}

void drawing_line(struct drawing *d, const double (*points)[2], size_t n, double width,
                  const double dash[2], uint32_t colour)
{
    set_colour(d, colour);
    cairo.set_line_width(d->context, width);
    cairo.set_dash(d->context, dash, dash ? 2 : 0, 0);
    cairo.move_to(d->context, points[0][0], points[0][1]);
    for (size_t i = 1; i < n; i++)
        cairo.line_to(d->context, points[i][0], points[i][1]);
    cairo.stroke(d->context);
}

/* An image of as many pixels as a PNG has: viewers of SVG blur an image of one pixel per cell. */
void drawing_cells(struct drawing *d, double x, double y, size_t size, size_t n,
                   const uint32_t *colours)
{
    const size_t scale = PNG_SCALE * size, side = n * scale;
    cairo_surface_t *image = cairo.image_surface_create(CAIRO_FORMAT_RGB24, (int)side, (int)side);
    uint32_t *pixels = (uint32_t *)cairo.image_surface_get_data(image);
    for (size_t i = 0; pixels && i < side * side; i++)
        pixels[i] = colours[i / side / scale * n + i % side / scale];
    cairo.surface_mark_dirty(image);
    cairo.surface_set_device_scale(image, PNG_SCALE, PNG_SCALE);
    cairo.set_source_surface(d->context, image, x, y);
    cairo.paint(d->context);
    cairo.surface_destroy(image);
}

static void draw_text(struct drawing *d, double x, double y, const char *font,
                      enum text_anchor anchor, uint32_t colour, const char *text)
{
    int width;
    set_text(d, font, text);
    set_colour(d, colour);
    pango.layout_get_size(d->layout, &width, NULL);
    cairo.save(d->context);
    cairo.translate(d->context, x, y);
    cairo.rotate(d->context, anchor & TEXT_UPWARDS ? -M_PI / 2 : 0);
    cairo.move_to(d->context, -0.5 * (anchor & 3) * width / PANGO_SCALE, 0);
    pango.cairo_show_layout_line(d->context, pango.layout_get_line_readonly(d->layout, 0));
    cairo.restore(d->context);
}

void drawing_text(struct drawing *d, double x, double y, enum text_anchor anchor, uint32_t colour,
                  const char *text)
{
    draw_text(d, x, y, TEXT, anchor, colour, text);
}

void drawing_title(struct drawing *d, const char *text)
{
    double x, y, width, height;
    cairo.recording_surface_ink_extents(d->recording, &x, &y, &width, &height);
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
    cairo.recording_surface_ink_extents(d->recording, &x, &y, &width, &height);
    width += 2 * MARGIN;
    height += 2 * MARGIN;
    if (format == PNG) {
        scale = fmin(PNG_SCALE, PNG_SIDE_MAX / fmax(width, height));
        surface = cairo.image_surface_create(CAIRO_FORMAT_RGB24, width * scale, height * scale);
    } else
        surface = (format == SVG ? cairo.svg_surface_create_for_stream
                                 : cairo.pdf_surface_create_for_stream)(append, out, width * scale,
                                                                        height * scale);
    cairo.surface_set_device_scale(surface, scale, scale);
    cairo_t *context = cairo.create(surface);
    cairo.set_source_rgb(context, 1, 1, 1);
    cairo.paint(context);
    cairo.set_source_surface(context, d->recording, MARGIN - floor(x), MARGIN - floor(y));
    cairo.paint(context);
    cairo_status_t status = cairo.status(context);
    if (!status && format == PNG)
        status = cairo.surface_write_to_png_stream(surface, append, out);
    cairo.surface_finish(surface);
    if (!status)
        status = cairo.surface_status(surface);
    cairo.destroy(context);
    cairo.surface_destroy(surface);
    return status;
}

int drawing_save(struct drawing *d, const char *path, struct error *err)
{
    char *bytes = NULL;
    size_t size;
    FILE *out = open_memstream(&bytes, &size);
    cairo_status_t status = out ? cairo.status(d->context) : CAIRO_STATUS_NO_MEMORY;
    if (!status)
        status = render(d, format_of(path), out);
    if (out && fclose(out) && !status)
        status = CAIRO_STATUS_NO_MEMORY;
    drawing_destroy(d);
    const int result = status ? fail(err, "%s: the picture cannot be drawn: %s", path,
                                     cairo.status_to_string(status))
                              : atomic_write(path, bytes, size, NULL, 0, err);
    free(bytes);
    return result;
}
