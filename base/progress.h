/* progress.h: a progress line on standard error, if that is a terminal. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *what; /* such as "encoding" */
    uint64_t total;
    const char *unit; /* such as "MB", with per_unit = 1e6 */
    double per_unit, started, shown;
    bool live;
};

void progress_begin(struct progress *p, const char *what, uint64_t total, const char *unit,
                    double per_unit);
/* Updates the line, at most ten times a second. */
void progress_set(struct progress *p, uint64_t done);
/* Clears the line. */
void progress_end(struct progress *p);

#endif
