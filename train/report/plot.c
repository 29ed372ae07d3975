/* plot.c: see plot.h. A Braille character, from U+2800, has 2 x 4 dots, each a bit of its code. */
#include "train/report/plot.h"
#include "base/minmax.h"
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 15, LABEL = 8 /* columns at the left */, NARROW = 10 };
enum layer { RANGE, LINE, CIRCLE, LAYERS }; /* from back to front */

struct plot {
    size_t columns;                /* characters */
    uint8_t *dots;                 /* (ROWS,columns): bits */
    uint8_t *layer;                /* (ROWS,columns): the front-most */
    double low, high, first, last; /* of the axes */
    double highest;                /* loss, if it is above the axis */
    size_t above;                  /* columns of curves with losses above the axis */
};

static void mark(struct plot *p, size_t x, size_t y, enum layer layer)
{
    static const uint8_t bits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
    const size_t cell = y / 4 * p->columns + x / 2;
    if (layer < p->layer[cell])
        return;
    p->dots[cell] |= bits[y % 4][x % 2];
    p->layer[cell] = (uint8_t)layer;
}

/* The one of n dots at a fraction of an axis; the first if the fraction is NAN. */
static size_t dot(double fraction, size_t n)
{
    const double position = fraction * (double)(n - 1);
    return position > 0 ? (size_t)(fmin(position, (double)(n - 1)) + 0.5) : 0;
}

static size_t row_of(const struct plot *p, double y)
{
    return dot((p->high - y) / (p->high - p->low), 4 * ROWS);
}

static size_t column_of(const struct plot *p, double x)
{
    return dot((x - p->first) / (p->last - p->first), 2 * p->columns);
}

/* All dots between two losses in one column. */
static void bar(struct plot *p, size_t x, double a, double b, enum layer layer)
{
    for (size_t y = row_of(p, fmax(a, b)); y <= row_of(p, fmin(a, b)); y++)
        mark(p, x, y, layer);
}

/* A line through the mean of each column, interpolated where no step falls into a column. */
static void draw_training(struct plot *p, const struct curves *c, bool colour)
{
    size_t last_x = 0;
    double last_y = NAN;
    for (size_t i = 0; i < c->count;) {
        const size_t x = column_of(p, c->x[i]);
        double sum = 0, n = 0;
        for (; i < c->count && column_of(p, c->x[i]) == x; i++) {
            const struct curve_cell *cell = &c->cells[i * c->columns + LOSS];
            sum += cell->n > 0 ? cell->n * cell->mean : 0;
            n += cell->n;
            if (colour && cell->n > 0)
                bar(p, x, cell->low, cell->high, RANGE);
        }
        if (n == 0)
            continue;
        const double y = sum / n, slope = (y - last_y) / (double)(x - last_x);
        for (size_t k = last_x + 1; k < x && !isnan(last_y); k++)
            mark(p, k, row_of(p, last_y + slope * (double)(k - last_x)), LINE);
        bar(p, x, isnan(last_y) || x > last_x + 1 ? y : last_y, y, LINE);
        last_x = x;
        last_y = y;
    }
}

static void draw_validation(struct plot *p, const struct curves *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->cells[i].n > 0)
            mark(p, column_of(p, c->x[i]), row_of(p, c->cells[i].mean), CIRCLE);
}

/* Extends the axes to a column of curves. */
static void extend_axes(struct plot *p, const struct curves *c, size_t column)
{
    for (size_t i = 0; i < c->count; i++) {
        p->low = fmin(p->low, c->cells[i * c->columns + column].low);
        p->high = fmax(p->high, c->cells[i * c->columns + column].high);
    }
    if (c->count) {
        p->first = fmin(p->first, c->x[0]);
        p->last = fmax(p->last, c->x[c->count - 1]);
    }
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Ends the axis below losses that would flatten the curve: more than FAR times the distance of the
 * 2nd and the 98th percentile above the latter. Losses of the first twentieth are no outliers. */
static void leave_out_outliers(struct plot *p, const struct curves *c)
{
    enum { FAR = 8 };
    double *y = malloc((c->count + 1) * sizeof *y), begin = p->low;
    size_t n = 0;
    for (size_t i = 0; i < c->count && y; i++) {
        const struct curve_cell *cell = &c->cells[i * c->columns + LOSS];
        if (!(cell->n > 0))
            continue;
        y[n++] = cell->high;
        if (c->x[i] <= p->first + (p->last - p->first) / 20)
            begin = fmax(begin, cell->high);
    }
    if (n > 0) {
        qsort(y, n, sizeof *y, ascending);
        const double low = y[n / 50], high = y[n - 1 - n / 50],
                     limit = fmax(high + FAR * (high - low), begin);
        if (p->high > limit && high > low) {
            p->highest = p->high;
            p->high = fmax(high + (high - low) / 10, begin);
            while (p->above < n && y[n - 1 - p->above] > p->high)
                p->above++;
        }
    }
    free(y);
}

/* Returns false if there are no losses. */
static bool set_axes(struct plot *p, const struct history *h)
{
    p->low = p->first = INFINITY;
    p->high = p->last = -INFINITY;
    extend_axes(p, &h->steps, LOSS);
    extend_axes(p, &h->evaluations, 0);
    if (!(p->low <= p->high))
        return false;
    leave_out_outliers(p, &h->steps);
    if (p->high - p->low < 1e-9 * fabs(p->high) || p->high == p->low) {
        p->low -= 0.5;
        p->high += 0.5;
    }
    p->last = fmax(fmax(p->last, h->last_step), p->first + 1);
    return true;
}

/* Prints a cell and switches to its colour, if *colour is another. */
static void put_cell(FILE *out, const struct plot *p, size_t cell, const struct terminal *t,
                     int *colour)
{
    static const int colours[LAYERS] = {60, 75, 215}; /* of xterm's 256 */
    const int layer = p->layer[cell], dots = p->dots[cell],
              wanted = dots && t->colours != TERMINAL_PLAIN ? colours[layer] : 0;
    if (wanted != *colour)
        fprintf(out, wanted ? "\033[38;5;%dm" : "\033[0m", wanted);
    *colour = wanted;
    if (!dots)
        putc(' ', out);
    else if (layer == CIRCLE)
        fputs("●", out);
    else
        fprintf(out, "\xE2%c%c", 0xA0 | dots >> 6, 0x80 | (dots & 0x3F));
}

/* The distance of ticks: 1, 2 or 5 times a power of ten, so that there are four to ten. */
static double tick_distance(const struct plot *p)
{
    const double rough = (p->high - p->low) / 10, power = pow(10, floor(log10(rough)));
    const double digit = rough / power;
    return power * (digit > 5 ? 10 : digit > 2 ? 5 : digit > 1 ? 2 : 1);
}

/* The row of characters of each tick gets its value; others are NAN. */
static void place_ticks(double ticks[ROWS], const struct plot *p)
{
    const double distance = tick_distance(p);
    for (size_t row = 0; row < ROWS; row++)
        ticks[row] = NAN;
    for (double k = ceil(p->low / distance); k * distance <= p->high; k++)
        ticks[row_of(p, k * distance) / 4] = k * distance + 0.0; /* not -0 */
}

static void put_rows(FILE *out, const struct plot *p, const struct terminal *t)
{
    double ticks[ROWS];
    place_ticks(ticks, p);
    for (size_t row = 0; row < ROWS; row++) {
        int colour = 0;
        if (row == 0 && p->above)
            fprintf(out, "%*s │", LABEL, "↑"); /* of three bytes */
        else if (!isnan(ticks[row]))
            fprintf(out, "%*.4g ┤", LABEL - 2, ticks[row]);
        else
            fprintf(out, "%*s │", LABEL - 2, "");
        for (size_t x = 0; x < p->columns; x++)
            put_cell(out, p, row * p->columns + x, t, &colour);
        fputs(colour ? "\033[0m\n" : "\n", out);
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
    const int space = (int)p->columns - (int)strlen(first);
    fprintf(out, "\n%*s%s%*s\n", LABEL, "", first, space > n ? space : n + 1, last);
    if (p->above)
        fprintf(out, "↑ %zu of %zu points are above the axis, up to %.4g\n", p->above,
                h->steps.count, p->highest);
    fprintf(out, "⠒ training loss %.4f\n", h->last[LOSS]);
    if (!isnan(h->best_val_loss))
        fprintf(out, "● validation loss, best %.4f\n  after step %.15g\n", h->best_val_loss,
                h->best_step);
}

void plot_losses(FILE *out, const struct history *h, const struct terminal *t)
{
    struct plot p = {.columns = size_max(t->width, LABEL + NARROW) - LABEL};
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
