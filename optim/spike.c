/* spike.c: see spike.h. */
#include "optim/spike.h"
#include "base/minmax.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t held(const struct loss_window *w)
{
    return size_min(w->count, LOSS_WINDOW_MAX);
}

/* The index of the i-th oldest loss held. */
static size_t position(const struct loss_window *w, size_t i)
{
    return (w->count - held(w) + i) % LOSS_WINDOW_MAX;
}

void loss_window_add(struct loss_window *w, double loss)
{
    w->losses[w->count++ % LOSS_WINDOW_MAX] = loss;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts x. */
static double median(double *x, size_t n)
{
    qsort(x, n, sizeof *x, ascending);
    return n % 2 ? x[n / 2] : 0.5 * (x[n / 2 - 1] + x[n / 2]);
}

double loss_window_limit(const struct loss_window *w, double factor)
{
    double x[LOSS_WINDOW_MAX];
    const size_t n = held(w);
    if (n < LOSS_WINDOW_MIN)
        return INFINITY;
    memcpy(x, w->losses, n * sizeof *x);
    const double middle = median(x, n);
    for (size_t i = 0; i < n; i++)
        x[i] = fabs(x[i] - middle);
    return middle + factor * fmax(1.4826 * median(x, n), 0.01 * fabs(middle));
}

char *loss_window_text(const struct loss_window *w, char *text)
{
    char *at = text + sprintf(text, "%" PRIu64, w->count);
    for (size_t i = 0; i < held(w); i++)
        at += sprintf(at, " %a", w->losses[position(w, i)]);
    return text;
}

int loss_window_parse(struct loss_window *w, const char *text)
{
    int length = 0;
    *w = (struct loss_window){0};
    if (strspn(text, "0123456789") > 19 || sscanf(text, "%" SCNu64 "%n", &w->count, &length) != 1)
        return -1;
    for (size_t i = 0; i < held(w); i++) {
        double *x = &w->losses[position(w, i)];
        text += length;
        if (sscanf(text, "%*[ ]%la%n", x, &length) != 1 || !isfinite(*x))
            return -1;
    }
    return text[length] ? -1 : 0;
}
