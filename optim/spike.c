/* spike.c: see recent.h. */
#include "optim/spike.h"
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t held(const struct loss_window *r)
{
    return r->count < LOSS_WINDOW_MAX ? (size_t)r->count : LOSS_WINDOW_MAX;
}

void loss_window_add(struct loss_window *r, double loss)
{
    r->losses[r->count++ % LOSS_WINDOW_MAX] = loss;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts. */
static double median(double *x, size_t n)
{
    qsort(x, n, sizeof *x, ascending);
    return n % 2 ? x[n / 2] : 0.5 * (x[n / 2 - 1] + x[n / 2]);
}

double loss_window_limit(const struct loss_window *r, double factor)
{
    double x[LOSS_WINDOW_MAX];
    const size_t n = held(r);
    if (n < LOSS_WINDOW_MIN)
        return INFINITY;
    memcpy(x, r->losses, n * sizeof *x);
    const double middle = median(x, n);
    for (size_t i = 0; i < n; i++)
        x[i] = fabs(x[i] - middle);
    return middle + factor * fmax(1.4826 * median(x, n), 0.01 * fabs(middle));
}

char *loss_window_text(const struct loss_window *r, char *text)
{
    char *at = text + sprintf(text, "%" PRIu64, r->count);
    for (size_t i = 0; i < held(r); i++)
        at += sprintf(at, " %a", r->losses[(r->count - held(r) + i) % LOSS_WINDOW_MAX]);
    return text;
}

static bool parse_finite(const char **text, double *value)
{
    char *end;
    if (**text != ' ')
        return false;
    *value = strtod(*text + 1, &end);
    const bool good = end != *text + 1 && isfinite(*value);
    *text = end;
    return good;
}

int loss_window_parse(struct loss_window *r, const char *text)
{
    int digits = 0;
    *r = (struct loss_window){0};
    if (strspn(text, "0123456789") > 19 || sscanf(text, "%" SCNu64 "%n", &r->count, &digits) != 1)
        return -1;
    const char *at = text + digits;
    for (size_t i = 0; i < held(r); i++)
        if (!parse_finite(&at, &r->losses[(r->count - held(r) + i) % LOSS_WINDOW_MAX]))
            return -1;
    return *at ? -1 : 0;
}
