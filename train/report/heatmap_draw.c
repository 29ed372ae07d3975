/* heatmap_draw.c: heat maps on a canvas. */
#include "train/report/heatmap.h"
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAD = 16,
    TITLE = 16,
    TEXT = 12,
    LEVELS = 64, /* colours of a picture */
    LARGE = 640, /* side of a single map, about */
    LARGE_CELLS = 256,
    MINI = 144, /* side of one of several */
    MINI_CELLS = 72,
    PAGE = 1600, /* width that several try to keep to */
    LEGEND = 44,
};

static const struct rgb ink = {0x22, 0x22, 0x22}, frame = {0xcc, 0xcc, 0xcc};

static size_t letters(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

static double longest_label(const struct heatmap *m)
{
    size_t n = 1;
    for (size_t i = 0; i < m->side; i++)
        n = letters(m->labels[i]) > n ? letters(m->labels[i]) : n;
    return 0.62 * TEXT * (double)n;
}

/* Frame, and the cells, colour by colour. */
static void draw_cells(struct canvas *c, const struct heatmap *m, double x, double y, double size,
                       size_t cells, size_t step)
{
    const double side = size * (double)cells;
    canvas_rectangle(c, x - 1, y - 1, side + 2, 1, frame);
    canvas_rectangle(c, x - 1, y + side, side + 2, 1, frame);
    canvas_rectangle(c, x - 1, y, 1, side, frame);
    canvas_rectangle(c, x + side, y, 1, side, frame);
    for (int level = 0; level <= LEVELS; level++)
        for (size_t row = 0; row < cells; row++)
            for (size_t column = 0; column < cells; column++) {
                const double weight = heatmap_cell(m, row * step, step, column * step, step);
                if (weight > 0 && lrint(sqrt(fmin(weight, 1)) * LEVELS) == level)
                    canvas_rectangle(c, x + size * (double)column, y + size * (double)row, size,
                                     size, heatmap_colour((double)level * level / LEVELS / LEVELS));
            }
}

static void draw_legend(struct canvas *c, double x, double y, size_t step)
{
    enum { BAR = 128 };
    for (int i = 0; i < BAR; i++)
        canvas_rectangle(c, x + i, y, 1, 10, heatmap_colour((double)i * i / BAR / BAR));
    canvas_text(c, x, y + 24, TEXT, TEXT_LEFT, 0, ink, "0");
    canvas_text(c, x + BAR / 2, y + 24, TEXT, TEXT_MIDDLE, 0, ink, "1/4");
    canvas_text(c, x + BAR, y + 24, TEXT, TEXT_RIGHT, 0, ink, "1");
    char text[96];
    snprintf(text, sizeof text,
             step > 1 ? "white: exactly zero; a cell: the largest of %zu x %zu"
                      : "white: exactly zero",
             step, step);
    canvas_text(c, x + BAR + 12, y + 10, TEXT, TEXT_LEFT, 0, ink, text);
}

static double longest(double a, double b)
{
    return a > b ? a : b;
}

static struct canvas *draw_one(const struct heatmaps *h, struct canvas *(*create)(double, double))
{
    const struct heatmap *m = h->maps;
    size_t step;
    const size_t cells = heatmap_cells(&step, m->side, LARGE_CELLS);
    const double size = fmin(fmax(floor(LARGE / (double)cells), 4), 20),
                 side = size * (double)cells, label = longest_label(m);
    const double left = PAD + label + 6, top = PAD + TITLE + 10 + label + 6;
    const double width = longest(left + side, PAD + 0.62 * TITLE * (double)letters(h->title)) + PAD;
    struct canvas *c = create(longest(width, PAD + 480), top + side + PAD + LEGEND);
    if (!c)
        return NULL;
    canvas_text(c, PAD, PAD + TITLE - 2, TITLE, TEXT_LEFT, 0, ink, h->title);
    const size_t every = (size_t)ceil((TEXT + 1) / size); /* labels that do not touch each other */
    for (size_t i = 0; i < cells; i += every) {
        const char *text = m->labels[i * step];
        const double middle = size * ((double)i + 0.5);
        canvas_text(c, left - 6, top + middle + 4, TEXT, TEXT_RIGHT, 0, ink, text);
        if (letters(text) == 1)
            canvas_text(c, left + middle, top - 6, TEXT, TEXT_MIDDLE, 0, ink, text);
        else
            canvas_text(c, left + middle + 4, top - 6, TEXT, TEXT_LEFT, 1, ink, text);
    }
    draw_cells(c, m, left, top, size, cells, step);
    draw_legend(c, left, top + side + PAD, step);
    return c;
}

static struct canvas *draw_many(const struct heatmaps *h, struct canvas *(*create)(double, double))
{
    size_t step;
    const size_t cells = heatmap_cells(&step, h->maps[0].side, MINI_CELLS),
                 rows = (h->n + h->columns - 1) / h->columns;
    const double room = fmin(fmax((double)PAGE / (double)h->columns - PAD, MINI / 2), MINI);
    const double size = fmax(floor(room / (double)cells), 1), side = size * (double)cells,
                 pitch = longest(side, 64) + PAD;
    const double top = PAD + TITLE + 12, line = side + TEXT + 4 + PAD;
    const double width = longest(PAD + pitch * (double)h->columns,
                                 2 * PAD + 0.62 * TITLE * (double)letters(h->title));
    struct canvas *c = create(longest(width, PAD + 480), top + line * (double)rows + LEGEND);
    if (!c)
        return NULL;
    canvas_text(c, PAD, PAD + TITLE - 2, TITLE, TEXT_LEFT, 0, ink, h->title);
    for (size_t i = 0; i < h->n; i++) {
        const double x = PAD + pitch * (double)(i % h->columns),
                     y = top + line * (double)(i / h->columns);
        canvas_text(c, x, y + TEXT, TEXT, TEXT_LEFT, 0, ink, h->maps[i].title);
        draw_cells(c, &h->maps[i], x, y + TEXT + 6, size, cells, step);
    }
    draw_legend(c, PAD, top + line * (double)rows, step);
    return c;
}

struct canvas *heatmap_draw(const struct heatmaps *h,
                            struct canvas *(*create)(double width, double height))
{
    return (h->n == 1 ? draw_one : draw_many)(h, create);
}
