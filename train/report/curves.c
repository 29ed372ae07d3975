/* curves.c: see curves.h. */
#include "train/report/curves.h"
#include <math.h>
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
    if (!b->n)
        return;
    if (!a->n)
        a->first = b->first;
    a->low = !a->n || b->low < a->low ? b->low : a->low;
    a->high = !a->n || b->high > a->high ? b->high : a->high;
    a->sum += b->sum;
    a->n += b->n;
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
    if (c->count == c->capacity && c->rows == c->count * c->width)
        halve(c);
    if (c->rows == c->count * c->width) {
        c->x[c->count] = x;
        memset(c->cells + c->count * c->columns, 0, c->columns * sizeof *c->cells);
        c->count++;
    }
    struct curve_cell *cells = c->cells + (c->count - 1) * c->columns;
    for (size_t k = 0; k < c->columns; k++)
        if (isfinite(values[k]))
            merge(&cells[k], &(struct curve_cell){values[k], values[k], values[k], values[k], 1});
    c->rows++;
}

double curve_mean(const struct curve_cell *cell)
{
    return cell->n ? cell->sum / (double)cell->n : NAN;
}
