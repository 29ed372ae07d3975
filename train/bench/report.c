/* report.c: what `handgrad bench` prints: tables, or with --json one object per line. */
#include "train/bench/bench.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

cJSON *report_object(const struct bench *b, const char *kind, const struct field *f)
{
    cJSON *o = json_add(NULL, FIELDS(TEXT("kind", kind)));
    if (b->workload)
        cJSON_AddStringToObject(o, "workload", b->workload->name);
    return json_add(o, f);
}

static void print_cells(const struct field *f, bool headings)
{
    printf(" ");
    for (; f->key || f->heading; f++) {
        if (!f->heading)
            continue;
        const char *text = headings ? f->heading : f->text ? f->text : isnan(f->number) ? "" : NULL;
        if (text)
            printf(" %*s", f->width, text);
        else
            printf(" %*.*f", f->width, f->decimals, f->number);
    }
    putchar('\n');
}

void report_row(struct bench *b, const char *title, const struct field *fields)
{
    if (b->json)
        return;
    if (b->rows++ == 0) {
        puts(title);
        print_cells(fields, true);
    }
    print_cells(fields, false);
}

void report_fields(struct bench *b, const char *kind, const char *title, const struct field *fields)
{
    if (b->json)
        json_print(report_object(b, kind, fields));
    report_row(b, title, fields);
}

/* "1.23 s", "12.3 ms", "4.5 us" */
static void print_time(const char *before, double s)
{
    if (s >= 1)
        printf("%s%.2f s", before, s);
    else if (s >= 1e-3)
        printf("%s%.*f ms", before, s >= 0.1 ? 0 : s >= 1e-2 ? 1 : 2, 1e3 * s);
    else
        printf("%s%.1f us", before, 1e6 * s);
}

void report_timing(const char *label, const struct timing *t, bool quartiles)
{
    printf("  %-14s", label);
    print_time(" ", t->median);
    printf(", median of %zu", t->runs);
    print_time(" (min ", t->min);
    if (quartiles) {
        print_time(", quartiles ", t->q1);
        print_time(" and ", t->q3);
    }
    print_time(", max ", t->max);
    printf(")\n");
}

void report_warning(const struct bench *b, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    report_progress(NULL, NULL);
    fprintf(stderr, "handgrad: %s: ", b->workload->name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

void warn_if_noisy(const struct bench *b, const struct timing *t)
{
    const double spread = (t->q3 - t->q1) / t->median;
    if (t->waited > 0.02)
        report_warning(b,
                       "other programs were running: threads waited for a core %.0f %% of the time",
                       100 * t->waited);
    else if (t->runs >= 4 && spread > 0.1)
        report_warning(
            b, "noisy machine: the middle half of the runs spreads over %.0f %% of the median",
            100 * spread);
}

void report_progress(const char *name, const char *what)
{
    if (!isatty(STDERR_FILENO))
        return;
    if (what)
        fprintf(stderr, "%s: %s …", name, what);
    else
        fputs("\r\033[K", stderr);
}
