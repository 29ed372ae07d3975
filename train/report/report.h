/* report.h: the report about runs as a file. */
#pragma once

#include "base/error.h"
#include <cjson/cJSON.h>
#include <stddef.h>

/* Writes the page about the runs in these folders. path NULL: report.html, in the folder of a
 * single run or in the current one. attention: as of sample_attention, or NULL. */
int report_write(const char *const *dirs, size_t n, const char *path, const cJSON *attention,
                 struct error *err);

/* Writes the metrics of every step as comma-separated values, to standard output if path is NULL.
 * If there are several runs, the first column is the run's folder. */
int report_csv(const char *const *dirs, size_t n, const char *path, struct error *err);
