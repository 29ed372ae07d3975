/* heatmap_terminal.c: heat maps in a terminal: coloured spaces, or ever denser characters if there are no colours. */
#include "train/report/heatmap.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

enum {
    ROW_LABEL = 10,   /* columns of a label beside a row */
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

/* In columns of the terminal. */
struct layout {
    size_t margin;      /* for the labels of rows; 0 for none */
    size_t cells, step; /* cells a side, weights per cell and axis */
    size_t width;       /* of a cell */
};

/* The labels of the columns, written downwards. */
static void put_column_labels(FILE *f, const struct heatmaps *h, struct layout l)
{
    size_t lines = 1;
    for (size_t c = 0; c < l.cells; c++) {
        const size_t n = mbstowcs(NULL, h->labels[c * l.step], 0);
        lines = n > lines ? n : lines;
    }
    for (size_t line = 0; line < lines && line < COLUMN_LABEL; line++) {
        fprintf(f, "%*s", (int)l.margin, "");
        for (size_t c = 0; c < l.cells; c++) {
            wchar_t letters[PRINTABLE_MAX] = L"";
            mbstowcs(letters, h->labels[c * l.step], PRINTABLE_MAX);
            wchar_t letter = line < wcslen(letters) ? letters[line] : L' ';
            if (wcwidth(letter) > (int)l.width)
                letter = L'…';
            fprintf(f, "%lc%*s", (wint_t)letter, (int)l.width - wcwidth(letter), "");
        }
        fputc('\n', f);
    }
}

static size_t row_label(char label[PRINTABLE_MAX], const struct heatmaps *h, size_t row)
{
    return printable(label, h->labels[row], strlen(h->labels[row]), ROW_LABEL);
}

static void put_maps(FILE *f, const struct terminal *t, const struct heatmaps *h, size_t first,
                     size_t end, struct layout l)
{
    const size_t columns = l.cells * l.width, pitch = columns > NAME ? columns : NAME;
    for (size_t i = first; i < end && h->n > 1; i++)
        fprintf(f, "%-*s%s", (int)pitch, h->names[i], i + 1 < end ? "  " : "\n");
    for (size_t row = 0; row < l.cells; row++) {
        if (l.margin) {
            char label[PRINTABLE_MAX];
            const size_t used = row_label(label, h, row * l.step);
            fprintf(f, "%*s%s ", (int)(l.margin - 1 - used), "", label);
        }
        for (size_t i = first; i < end; i++) {
            for (size_t c = 0; c < l.cells; c++)
                put_cell(f, t, heatmap_cell(h, i, row, c, l.step), l.width);
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
        put_cell(f, t, i == 0 ? 1e-4 : (i / 20.0) * (i / 20.0), 1);
    fputs(" 1, by the square root; blank: exactly zero\n", f);
    if (step > 1)
        fprintf(f, "each cell shows the largest of %zu x %zu weights\n", step, step);
}

void heatmap_terminal(const struct heatmaps *h, const struct terminal *t, FILE *f)
{
    struct layout l = {0};
    size_t columns = 1, space; /* maps side by side, and columns for each */
    fprintf(f, "%s\n\n", h->title);
    if (h->n == 1) {
        for (size_t i = 0; i < h->side; i++) {
            char label[PRINTABLE_MAX];
            const size_t used = row_label(label, h, i);
            l.margin = used + 1 > l.margin ? used + 1 : l.margin;
        }
        space = t->width - l.margin;
    } else {
        columns = (t->width + GAP) / (NAME + GAP);
        columns = h->columns < columns ? h->columns : columns;
        space = (t->width + GAP) / columns - GAP;
        space = space < SMALL ? space : SMALL;
    }
    l.width = 2 * h->side <= space ? 2 : 1;
    l.cells = heatmap_cells(&l.step, h->side, space / l.width);
    if (h->n == 1)
        put_column_labels(f, h, l);
    for (size_t first = 0, end; first < h->n; first = end) {
        end = (first / h->columns + 1) * h->columns; /* of the row of the figure */
        end = end < h->n ? end : h->n;
        end = first + columns < end ? first + columns : end;
        put_maps(f, t, h, first, end, l);
    }
    put_legend(f, t, l.step);
}
