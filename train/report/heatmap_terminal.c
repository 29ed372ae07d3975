/* heatmap_terminal.c: heat maps in characters: coloured spaces, half blocks where several maps stand beside each other, and a ramp
 * of ever darker characters where there is no colour. */
#include "base/printable.h"
#include "train/report/heatmap.h"
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROW_LABEL = 10,
    COLUMN_LABEL = 8,
    GAP = 2,
    MINIATURE = 32,
    MINIATURE_TITLE = 12 /* "h.0 head 0" and some */
};

static const char ramp[] = ".:-=+*#%@";
enum { SHADES = sizeof ramp - 1 };

static void colour(FILE *f, const struct terminal *t, int ground, double weight)
{
    const struct rgb c = heatmap_colour(weight);
    if (t->colours == TERMINAL_24_BIT)
        fprintf(f, "\033[%d;2;%d;%d;%dm", ground, c.r, c.g, c.b);
    else /* the 6 x 6 x 6 cube of xterm, whose steps are 0, 95, 135, 175, 215, 255 */
        fprintf(f, "\033[%d;5;%dm", ground,
                16 +
                    36 * (c.r < 48    ? 0
                          : c.r < 115 ? 1
                                      : (c.r - 35) / 40) +
                    6 * (c.g < 48    ? 0
                         : c.g < 115 ? 1
                                     : (c.g - 35) / 40) +
                    (c.b < 48    ? 0
                     : c.b < 115 ? 1
                                 : (c.b - 35) / 40));
}

static char shade(double weight)
{
    return weight == 0 ? ' ' : ramp[(int)fmin(sqrt(weight) * SHADES, SHADES - 1)];
}

/* One cell, `wide` columns of one line. */
static void cell(FILE *f, const struct terminal *t, double weight, size_t wide)
{
    if (weight == 0 || t->colours == TERMINAL_PLAIN) {
        for (size_t i = 0; i < wide; i++)
            fputc(shade(weight), f);
        return;
    }
    colour(f, t, 48, weight);
    fprintf(f, "%*s\033[0m", (int)wide, "");
}

/* Two cells in one column, one above the other. */
static void half_cells(FILE *f, const struct terminal *t, double above, double below)
{
    if (t->colours == TERMINAL_PLAIN) {
        fputc(shade(fmax(above, below)), f);
        return;
    }
    if (above == 0 && below == 0) {
        fputc(' ', f);
        return;
    }
    colour(f, t, 38, above == 0 ? below : above);
    if (above != 0 && below != 0)
        colour(f, t, 48, below);
    fprintf(f, "%s\033[0m", above == 0 ? "▄" : "▀");
}

/* --- one map, with its labels --- */

/* The character of a label that stands in line `line` of `lines`, written downwards; blanks where it has none. */
static void put_letter(FILE *f, const char *label, size_t line, size_t wide)
{
    size_t at = 0;
    for (size_t i = 0; label[at] && i < line; i++)
        for (at++; ((unsigned char)label[at] & 0xC0) == 0x80;)
            at++;
    size_t n = label[at] != 0;
    while (((unsigned char)label[at + n] & 0xC0) == 0x80 && n)
        n++;
    char shown[PRINTABLE_MAX];
    size_t columns = n ? printable(shown, label + at, n, wide) : 0;
    if (columns)
        fputs(shown, f);
    for (; columns < wide; columns++)
        fputc(' ', f);
}

static size_t letters(const char *label)
{
    size_t n = 0;
    for (; *label; label++)
        n += ((unsigned char)*label & 0xC0) != 0x80;
    return n;
}

static void column_labels(FILE *f, const struct heatmap *m, size_t margin, size_t cells,
                          size_t step, size_t wide)
{
    size_t lines = 1;
    for (size_t c = 0; c < cells; c++)
        lines = letters(m->labels[c * step]) > lines ? letters(m->labels[c * step]) : lines;
    lines = lines < COLUMN_LABEL ? lines : COLUMN_LABEL;
    for (size_t line = 0; line < lines; line++) {
        fprintf(f, "%*s", (int)margin, "");
        for (size_t c = 0; c < cells; c++)
            put_letter(f, m->labels[c * step], line, wide);
        fputc('\n', f);
    }
}

/* Returns how many tokens share a cell. */
static size_t one_map(FILE *f, const struct terminal *t, const struct heatmap *m)
{
    size_t margin = 1, step, cells;
    for (size_t i = 0; i < m->side; i++) {
        char label[PRINTABLE_MAX];
        const size_t n = printable(label, m->labels[i], strlen(m->labels[i]), ROW_LABEL);
        margin = n > margin ? n : margin;
    }
    margin++;
    const size_t room = t->width - margin, wide = 2 * m->side <= room ? 2 : 1;
    cells = heatmap_cells(&step, m->side, room / wide);
    column_labels(f, m, margin, cells, step, wide);
    for (size_t r = 0; r < cells; r++) {
        char label[PRINTABLE_MAX];
        const size_t n =
            printable(label, m->labels[r * step], strlen(m->labels[r * step]), ROW_LABEL);
        fprintf(f, "%*s%s ", (int)(margin - 1 - n), "", label);
        for (size_t c = 0; c < cells; c++)
            cell(f, t, heatmap_cell(m, r * step, step, c * step, step), wide);
        fputc('\n', f);
    }
    return step;
}

/* --- several, without --- */

static void row_of_maps(FILE *f, const struct terminal *t, const struct heatmap *maps, size_t n,
                        size_t cells, size_t step)
{
    const size_t pitch = cells > MINIATURE_TITLE ? cells : MINIATURE_TITLE;
    for (size_t i = 0; i < n; i++)
        fprintf(f, "%-*s%s", (int)pitch, maps[i].title, i + 1 < n ? "  " : "\n");
    for (size_t r = 0; r < cells; r += 2) {
        for (size_t i = 0; i < n; i++) {
            for (size_t c = 0; c < cells; c++)
                half_cells(f, t, heatmap_cell(&maps[i], r * step, step, c * step, step),
                           heatmap_cell(&maps[i], (r + 1) * step, step, c * step, step));
            fprintf(f, "%*s", i + 1 < n ? (int)(pitch - cells) + GAP : 0, "");
        }
        fputc('\n', f);
    }
    fputc('\n', f);
}

static void legend(FILE *f, const struct terminal *t, size_t step)
{
    fputs("0 ", f);
    for (int i = 0; i <= 20; i++)
        cell(f, t, i == 0 ? 1e-4 : (i / 20.0) * (i / 20.0), 1);
    fputs(" 1, by the square root; blank: exactly zero", f);
    if (step > 1)
        fprintf(f, "\na cell is the largest of %zu x %zu", step, step);
    fputs("\n", f);
}

void heatmap_terminal(const struct heatmaps *h, const struct terminal *t, FILE *f)
{
    fprintf(f, "%s\n\n", h->title);
    const size_t side = h->maps[0].side;
    if (h->n == 1) {
        const size_t step = one_map(f, t, h->maps);
        fputc('\n', f);
        legend(f, t, step);
        return;
    }
    /* As many beside each other as the figure wants, if each has room for a few cells. */
    size_t columns = h->columns, step;
    while (columns > 1 && (t->width + GAP) / columns < MINIATURE_TITLE + GAP)
        columns--;
    const size_t room = (t->width + GAP) / columns - GAP,
                 cells = heatmap_cells(&step, side, room < MINIATURE ? room : MINIATURE);
    for (size_t i = 0; i < h->n;) {
        const size_t line_end = (i / h->columns + 1) * h->columns,
                     end = line_end < h->n ? line_end : h->n;
        const size_t n = end - i < columns ? end - i : columns;
        row_of_maps(f, t, h->maps + i, n, cells, step);
        i += n;
    }
    legend(f, t, step);
}
