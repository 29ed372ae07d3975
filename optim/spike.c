/* spike.c: see recent.h. */
#include "optim/spike.h"
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t held(const struct recent *r)
{
    return r->count < RECENT_MAX ? (size_t)r->count : RECENT_MAX;
}

void recent_add(struct recent *r, double loss)
{
    r->losses[r->count++ % RECENT_MAX] = loss;
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

double recent_limit(const struct recent *r, double factor)
{
    double x[RECENT_MAX];
    const size_t n = held(r);
    if (n < RECENT_MIN)
        return INFINITY;
    memcpy(x, r->losses, n * sizeof *x);
    const double middle = median(x, n);
    for (size_t i = 0; i < n; i++)
        x[i] = fabs(x[i] - middle);
    return middle + factor * fmax(1.4826 * median(x, n), 0.01 * fabs(middle));
}

char *recent_text(const struct recent *r, char *text)
{
    char *at = text + sprintf(text, "%" PRIu64, r->count);
    for (size_t i = 0; i < held(r); i++)
        at += sprintf(at, " %a", r->losses[(r->count - held(r) + i) % RECENT_MAX]);
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

int recent_parse(struct recent *r, const char *text)
{
    int digits = 0;
    *r = (struct recent){0};
    if (strspn(text, "0123456789") > 19 || sscanf(text, "%" SCNu64 "%n", &r->count, &digits) != 1)
        return -1;
    const char *at = text + digits;
    for (size_t i = 0; i < held(r); i++)
        if (!parse_finite(&at, &r->losses[(r->count - held(r) + i) % RECENT_MAX]))
            return -1;
    return *at ? -1 : 0;
}
