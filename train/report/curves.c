/* curves.c: see curves.h. */
#include "train/report/curves.h"
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int curves_create(struct curves *c, size_t columns, size_t capacity)
{
    *c = (struct curves){.columns = columns, .capacity = capacity, .width = 1};
    c->x = malloc(capacity * sizeof *c->x);
    c->cells = malloc(capacity * columns * sizeof *c->cells);
    if (c->x && c->cells)
        return 0;
    curves_destroy(c);
    return -1;
}

void curves_destroy(struct curves *c)
{
    free(c->x);
    free(c->cells);
    *c = (struct curves){0};
}

void curves_clear(struct curves *c)
{
    c->count = c->rows = 0;
    c->width = 1;
}

static void merge(struct curve_cell *a, const struct curve_cell *b)
{
    if (a->n == 0)
        *a = *b;
    else if (b->n > 0) {
        a->n += b->n;
        a->mean += (b->mean - a->mean) * b->n / a->n;
        a->low = fmin(a->low, b->low);
        a->high = fmax(a->high, b->high);
    }
}

static void halve(struct curves *c)
{
    for (size_t i = 0; i < c->count / 2; i++) {
        struct curve_cell *to = c->cells + i * c->columns, *from = c->cells + 2 * i * c->columns;
        c->x[i] = c->x[2 * i];
        memmove(to, from, c->columns * sizeof *to);
        for (size_t k = 0; k < c->columns; k++)
            merge(&to[k], &from[c->columns + k]);
    }
    c->count /= 2;
    c->width *= 2;
}

void curves_add(struct curves *c, double x, const double *values)
{
    const bool full = c->rows == c->count * c->width;
    if (full && c->count == c->capacity)
        halve(c);
    if (full)
        c->x[c->count++] = x;
    struct curve_cell *cells = c->cells + (c->count - 1) * c->columns;
    for (size_t k = 0; k < c->columns; k++) {
        const double v = isfinite(values[k]) ? values[k] : NAN;
        const struct curve_cell cell = {v, v, v, v, !isnan(v)};
        if (full)
            cells[k] = cell;
        else
            merge(&cells[k], &cell);
    }
    c->rows++;
}
