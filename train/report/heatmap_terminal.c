/* heatmap_terminal.c: heat maps in a terminal: coloured spaces, or ever denser characters if there
 * are no colours. */
#include "base/minmax.h"
#include "train/report/heatmap.h"
#include <math.h>
#include <stdlib.h>
#include <wchar.h>

enum {
    COLUMN_LABEL = 8, /* lines of a label above a column */
    GAP = 2,
    SMALL = 32, /* columns of one of several maps, at most */
    NAME = 12   /* columns of its name */
};

static const char ramp[] = ".:-=+*#%@";
enum { SHADES = sizeof ramp - 1 };

/* A level of xterm's 6 x 6 x 6 colour cube, whose steps are 0, 95, 135, 175, 215, 255. */
static int cube(uint32_t component)
{
    return component < 48 ? 0 : component < 115 ? 1 : ((int)component - 35) / 40;
}

static void put_cell(FILE *f, const struct terminal *t, double weight, size_t width)
{
    if (weight == 0 || t->colours == TERMINAL_PLAIN) {
        const char c = weight == 0 ? ' ' : ramp[(int)fmin(sqrt(weight) * SHADES, SHADES - 1)];
        for (size_t i = 0; i < width; i++)
            fputc(c, f);
        return;
    }
    const uint32_t colour = heatmap_colour(weight), r = colour >> 16, g = colour >> 8 & 0xff,
                   b = colour & 0xff;
    if (t->colours == TERMINAL_24_BIT)
        fprintf(f, "\033[48;2;%u;%u;%um", r, g, b);
    else
        fprintf(f, "\033[48;5;%dm", 16 + 36 * cube(r) + 6 * cube(g) + cube(b));
    fprintf(f, "%*s\033[0m", (int)width, "");
}

/* The labels of the columns, written downwards, to the right of a margin. */
static void put_column_labels(FILE *f, const struct heatmaps *h, struct heatmap_grid g,
                              size_t margin)
{
    size_t lines = 1;
    for (size_t c = 0; c < g.cells; c++)
        lines = size_max(lines, mbstowcs(NULL, h->labels[c * g.step].text, 0));
    for (size_t line = 0; line < lines && line < COLUMN_LABEL; line++) {
        fprintf(f, "%*s", (int)margin, "");
        for (size_t c = 0; c < g.cells; c++) {
            wchar_t letters[PRINTABLE_MAX] = L"";
            mbstowcs(letters, h->labels[c * g.step].text, PRINTABLE_MAX);
            wint_t letter = line < wcslen(letters) ? letters[line] : L' ';
            if (wcwidth(letter) > (int)g.size)
                letter = L'…';
            fprintf(f, "%lc%*s", letter, (int)g.size - wcwidth(letter), "");
        }
        fputc('\n', f);
    }
}

/* Maps side by side, or a single one with labels in the margin. */
static void put_maps(FILE *f, const struct terminal *t, const struct heatmaps *h, size_t first,
                     size_t end, struct heatmap_grid g, size_t margin)
{
    const size_t columns = g.cells * g.size, pitch = size_max(columns, NAME);
    for (size_t i = first; i < end && !margin; i++)
        fprintf(f, "%-*s%s", (int)pitch, h->names[i], i + 1 < end ? "  " : "\n");
    for (size_t row = 0; row < g.cells; row++) {
        const struct heatmap_label *label = &h->labels[row * g.step];
        if (margin)
            fprintf(f, "%*s%s ", (int)(margin - 1 - label->columns), "", label->text);
        for (size_t i = first; i < end; i++) {
            for (size_t c = 0; c < g.cells; c++)
                put_cell(f, t, heatmap_cell(h, g, i, row, c), g.size);
            fprintf(f, "%*s", i + 1 < end ? (int)(pitch - columns) + GAP : 0, "");
        }
        fputc('\n', f);
    }
    fputc('\n', f);
}

static void put_legend(FILE *f, const struct terminal *t, size_t step)
{
    fputs("0 ", f);
    for (int i = 0; i <= 20; i++)
        put_cell(f, t, i == 0 ? 1e-4 : i * i / 400.0, 1);
    fputs(" 1, by the square root; blank: exactly zero\n", f);
    if (step > 1)
        fprintf(f, "each cell shows the largest of %zu x %zu weights\n", step, step);
}

void heatmap_terminal(const struct heatmaps *h, const struct terminal *t, FILE *f)
{
    size_t margin = 0, columns = (t->width + GAP) / (NAME + GAP); /* columns: maps side by side */
    columns = size_min(columns, h->columns);
    for (size_t i = 0; i < h->side && h->n == 1; i++)
        margin = size_max(margin, h->labels[i].columns + 1);
    size_t space = (t->width - margin + GAP) / columns - GAP; /* for a map */
    if (h->n > 1)
        space = size_min(space, SMALL);
    const size_t size = 2 * h->side <= space ? 2 : 1;
    struct heatmap_grid g = heatmap_grid(h->side, space / size);
    g.size = size;
    fprintf(f, "%s\n\n", h->title);
    if (h->n == 1)
        put_column_labels(f, h, g, margin);
    for (size_t first = 0, end; first < h->n; first = end) {
        const size_t row_end = (first / h->columns + 1) * h->columns; /* of the whole figure */
        end = size_min(size_min(first + columns, row_end), h->n);
        put_maps(f, t, h, first, end, g, margin);
    }
    put_legend(f, t, g.step);
}
