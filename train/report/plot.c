/* plot.c: see plot.h. A character of Braille is two dots wide and four high, U+2800 with a bit for each dot. */
#include "train/report/plot.h"
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 15, LABEL = 8, NARROW = 10 };
enum layer { SPREAD, LINE, CIRCLE, LAYERS }; /* the later ones over the earlier */

struct plot {
    size_t columns;                /* characters */
    uint8_t *dots;                 /* (ROWS, columns) Braille bits */
    uint8_t *layer;                /* (ROWS, columns) of what is drawn there */
    double low, high, first, last; /* of the axes */
};

static void mark(struct plot *p, size_t x, size_t y, enum layer layer)
{
    static const uint8_t bits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    const size_t at = y / 4 * p->columns + x / 2;
    if (layer < p->layer[at])
        return;
    p->dots[at] |= bits[y % 4][x % 2];
    p->layer[at] = (uint8_t)layer;
}

/* A place on an axis, as one of n dots; whatever the file says, also where the axis has no length. */
static size_t dot(double place, size_t n)
{
    const double at = place * (double)(n - 1);
    return !(at > 0) ? 0 : at > (double)(n - 1) ? n - 1 : (size_t)(at + 0.5);
}

/* The dot row of a loss, from the top. */
static size_t row_of(const struct plot *p, double y)
{
    return dot((p->high - y) / (p->high - p->low), 4 * ROWS);
}

static size_t column_of(const struct plot *p, double x)
{
    return dot((x - p->first) / (p->last - p->first), 2 * p->columns);
}

/* All dots between two losses of one column. */
static void bar(struct plot *p, size_t x, double a, double b, enum layer layer)
{
    const size_t from = row_of(p, a > b ? a : b), to = row_of(p, a > b ? b : a);
    for (size_t y = from; y <= to; y++)
        mark(p, x, y, layer);
}

/* The exponential mean over a hundredth of the rows, its start unbiased. */
static double smoothed(double *sum, double *weight, double x, size_t count)
{
    const double keep = exp(-100.0 / (double)(count < 100 ? 100 : count));
    *sum = keep * *sum + (1 - keep) * x;
    *weight = keep * *weight + (1 - keep);
    return *sum / *weight;
}

static void draw_training(struct plot *p, const struct curves *c, bool colour)
{
    double sum = 0, weight = 0, before = NAN;
    size_t column = 0;
    for (size_t i = 0; i < c->count; i++) {
        const struct curve_cell *cell = &c->cells[i * c->columns + LOSS];
        if (!cell->n)
            continue;
        const size_t x = column_of(p, c->x[i]);
        const double y = smoothed(&sum, &weight, curve_mean(cell), c->count);
        if (colour)
            bar(p, x, cell->low, cell->high, SPREAD);
        for (size_t k = isnan(before) ? x : column + 1; k <= x;
             k++) { /* rows may be fewer than columns */
            const double f = isnan(before) ? 1 : (double)(k - column) / (double)(x - column);
            mark(p, k, row_of(p, isnan(before) ? y : before + f * (y - before)), LINE);
        }
        bar(p, x, isnan(before) || x > column + 1 ? y : before, y, LINE);
        before = y;
        column = x;
    }
}

static void draw_validation(struct plot *p, const struct curves *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->cells[i].n)
            mark(p, column_of(p, c->x[i]), row_of(p, curve_mean(&c->cells[i])), CIRCLE);
}

static void widen(struct plot *p, const struct curve_cell *cell)
{
    p->low = fmin(p->low, cell->n ? cell->low : INFINITY);
    p->high = fmax(p->high, cell->n ? cell->high : -INFINITY);
}

/* False where there is nothing to draw. */
static bool set_axes(struct plot *p, const struct history *h)
{
    const struct curves *c = &h->steps;
    p->low = INFINITY;
    p->high = -INFINITY;
    for (size_t i = 0; i < c->count; i++)
        widen(p, &c->cells[i * c->columns + LOSS]);
    for (size_t i = 0; i < h->evaluations.count; i++)
        widen(p, &h->evaluations.cells[i]);
    if (!(p->low <= p->high))
        return false;
    if (p->high - p->low < 1e-9 * fabs(p->high) || p->high == p->low)
        p->low -= 0.5, p->high += 0.5;
    const struct curves *e = &h->evaluations; /* of steps that the other may lack */
    p->first = fmin(c->count ? c->x[0] : INFINITY, e->count ? e->x[0] : INFINITY);
    p->last = fmax(fmax(h->last_step, e->count ? e->x[e->count - 1] : p->first), p->first + 1);
    return true;
}

static void put_cell(FILE *out, const struct plot *p, size_t at, const struct terminal *t,
                     int *colour)
{
    static const int colours[LAYERS] = {60, 75, 215}; /* of 256 */
    const int layer = p->layer[at],
              want = p->dots[at] && t->colours != TERMINAL_PLAIN ? colours[layer] : 0;
    if (want != *colour)
        fprintf(out, want ? "\033[38;5;%dm" : "\033[0m", want);
    *colour = want;
    if (!p->dots[at])
        putc(' ', out);
    else if (layer == CIRCLE)
        fputs("●", out);
    else
        fprintf(out, "\xE2%c%c", 0xA0 | p->dots[at] >> 6, 0x80 | (p->dots[at] & 0x3F));
}

static void put_rows(FILE *out, const struct plot *p, const struct terminal *t)
{
    int colour = 0;
    for (size_t row = 0; row < ROWS; row++) {
        const double y = p->high - (p->high - p->low) * ((double)row + 0.5) / ROWS;
        if (row % 3 == 1)
            fprintf(out, "%*.4g ┤", LABEL - 2, y);
        else
            fprintf(out, "%*s │", LABEL - 2, "");
        size_t end = p->columns; /* no blanks at the end of a line */
        while (end && !p->dots[row * p->columns + end - 1])
            end--;
        for (size_t x = 0; x < end; x++)
            put_cell(out, p, row * p->columns + x, t, &colour);
        fputs(colour ? "\033[0m\n" : "\n", out);
        colour = 0;
    }
}

static void put_foot(FILE *out, const struct plot *p, const struct history *h)
{
    char first[32], last[32];
    snprintf(first, sizeof first, "%.15g", p->first);
    const int n = snprintf(last, sizeof last, "%.15g", p->last);
    fprintf(out, "%*s └", LABEL - 2, "");
    for (size_t i = 0; i < p->columns; i++)
        fputs("─", out);
    fprintf(out, "\n%*s%s%*s\n", LABEL, "", first,
            (int)p->columns - (int)strlen(first) > n ? (int)p->columns - (int)strlen(first) : n + 1,
            last);
    const bool wide = p->columns > 60;
    fprintf(out, wide ? "        ⠒ training loss %.4f" : "⠒ training %.4f", h->last[LOSS]);
    if (!isnan(h->best_val_loss))
        fprintf(out,
                wide ? "   ● validation loss, best %.4f after step %.15g"
                     : "\n● best %.4f, step %.15g",
                h->best_val_loss, h->best_step);
    putc('\n', out);
}

void plot_losses(FILE *out, const struct history *h, const struct terminal *t)
{
    struct plot p = {.columns = t->width > LABEL + NARROW ? t->width - LABEL : NARROW};
    if (!set_axes(&p, h)) {
        fputs("no step has a loss yet\n", out);
        return;
    }
    p.dots = calloc(ROWS * p.columns, 1);
    p.layer = calloc(ROWS * p.columns, 1);
    if (p.dots && p.layer) {
        draw_training(&p, &h->steps, t->colours != TERMINAL_PLAIN);
        draw_validation(&p, &h->evaluations);
        put_rows(out, &p, t);
        put_foot(out, &p, h);
    }
    free(p.dots);
    free(p.layer);
}
