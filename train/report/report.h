/* report.h: the report of runs as a file. */
#ifndef REPORT_H
#define REPORT_H

#include "base/error.h"
#include <stddef.h>

/* The page about the runs in these folders, to a file: whole or not at all. */
int report_write(const char *const *dirs, size_t n, const char *path, struct error *err);
/* The page of one run, to its report.html. */
int report_write_run(const char *dir, struct error *err);

/* Every step of the runs as comma-separated values, to a file, or standard output where path is NULL. The first column is the
 * run's folder where there are several. */
int report_csv(const char *const *dirs, size_t n, const char *path, struct error *err);

#endif
