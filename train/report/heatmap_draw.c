/* heatmap_draw.c: heat maps in a drawing. */
#include "base/minmax.h"
#include "train/report/heatmap.h"
#include <math.h>
#include <stdlib.h>

enum {
    GAP = 16,
    TEXT = 12,   /* height of a line */
    LARGE = 640, /* side of a single map, about */
    LARGE_CELLS = 256,
    SMALL = 144, /* side of one of several */
    SMALL_CELLS = 72,
    PAGE = 1600, /* width of a page of several, unless that makes them too small */
    WHITE = 0xffffff,
    FRAME = 0xcccccc
};

static void draw_map(struct drawing *d, const struct heatmaps *h, size_t map, double x, double y,
                     struct heatmap_grid g)
{
    const double side = (double)(g.size * g.cells);
    uint32_t colours[g.cells * g.cells]; /* at most 256 KB */
    for (size_t i = 0; i < g.cells * g.cells; i++) {
        const double weight = heatmap_cell(h, g, map, i / g.cells, i % g.cells);
        colours[i] = weight > 0 ? heatmap_colour(weight) : WHITE;
    }
    drawing_rectangle(d, x - 1, y - 1, side + 2, side + 2, FRAME);
    drawing_cells(d, x, y, g.size, g.cells, colours);
}

static void draw_labels(struct drawing *d, const struct heatmaps *h, struct heatmap_grid g)
{
    const size_t every = ceil_div(TEXT + 1, g.size); /* labels that do not overlap */
    for (size_t i = 0; i < g.cells; i += every) {
        const char *label = h->labels[i * g.step].text;
        const double middle = (double)g.size * ((double)i + 0.5);
        const bool rotate = mbstowcs(NULL, label, 0) != 1;
        drawing_text(d, -6, middle + 4, TEXT_END, INK, label);
        drawing_text(d, middle + (rotate ? 4 : 0), -6, rotate ? TEXT_UPWARDS : TEXT_MIDDLE, INK,
                     label);
    }
}

static void draw_legend(struct drawing *d, double y, size_t step)
{
    enum { BAR = 128 };
    static const char *const ticks[] = {"0", "1/4", "1"};
    for (int i = 0; i < BAR; i++)
        drawing_rectangle(d, i, y, 1, 10, heatmap_colour((double)i * i / BAR / BAR));
    for (enum text_anchor anchor = TEXT_START; anchor <= TEXT_END; anchor++)
        drawing_text(d, anchor * BAR / 2, y + 24, anchor, INK, ticks[anchor]);
    char text[96];
    snprintf(text, sizeof text,
             step > 1 ? "white: exactly zero; a cell: the largest of %zu x %zu"
                      : "white: exactly zero",
             step, step);
    drawing_text(d, BAR + 12, y + 10, TEXT_START, INK, text);
}

void heatmap_draw(const struct heatmaps *h, struct drawing *d)
{
    const bool single = h->n == 1;
    const double space =
        single ? LARGE : fmin(fmax((double)PAGE / h->columns - GAP, SMALL / 2), SMALL);
    struct heatmap_grid g = heatmap_grid(h->side, single ? LARGE_CELLS : SMALL_CELLS);
    g.size = (size_t)fmin(fmax(space / (double)g.cells, single ? 4 : 1), 20);
    const double side = (double)(g.size * g.cells), across = fmax(side, 64) + GAP,
                 down = side + TEXT + GAP + 4;
    for (size_t i = 0; i < h->n; i++) {
        const double x = across * (double)(i % h->columns), y = down * (double)(i / h->columns);
        if (!single)
            drawing_text(d, x, y - 6, TEXT_START, INK, h->names[i]);
        draw_map(d, h, i, x, y, g);
    }
    if (single)
        draw_labels(d, h, g);
    draw_legend(d, down * (double)((h->n - 1) / h->columns) + side + GAP, g.step);
    drawing_title(d, h->title);
}
