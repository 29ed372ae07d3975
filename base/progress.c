/* progress.c: see progress.h. */
#include "base/progress.h"
#include "base/clock.h"
#include <stdio.h>
#include <unistd.h>

void progress_begin(struct progress *p, const char *what, uint64_t total, const char *unit,
                    double per_unit)
{
    *p = (struct progress){what, total, unit, per_unit, seconds(), 0, isatty(STDERR_FILENO)};
}

void progress_set(struct progress *p, uint64_t done)
{
    const double now = seconds();
    if (!p->live || now - p->shown < 0.1)
        return;
    p->shown = now;
    const double rate = (double)done / (now - p->started + 1e-9);
    const long left = p->total > done ? (long)((double)(p->total - done) / (rate + 1e-9)) : 0;
    fprintf(stderr, "\r\033[K%s  %.0f%%  %.1f of %.1f %s  %.1f %s/s  %ld:%02ld left", p->what,
            100 * (double)done / (double)(p->total ? p->total : 1), (double)done / p->per_unit,
            (double)p->total / p->per_unit, p->unit, rate / p->per_unit, p->unit, left / 60,
            left % 60);
}

void progress_end(struct progress *p)
{
    if (p->live && p->shown > 0)
        fputs("\r\033[K", stderr);
}
