/* report.c: see report.h. */
#include "train/report/report.h"
#include "base/atomic.h"
#include "train/report/page.h"
#include <stdlib.h>
#include <string.h>

int report_write(const char *const *dirs, size_t n, const char *path, const cJSON *attention,
                 struct error *err)
{
    char *html = NULL, *default_path = NULL;
    struct history *runs = calloc(n, sizeof *runs);
    if (!path && asprintf(&default_path, n == 1 ? "%s/report.html" : "report.html", dirs[0]) < 0)
        default_path = NULL;
    path = path ? path : default_path;
    int status = runs && path ? 0 : fail(err, "report: out of memory");
    for (size_t i = 0; i < n && !status; i++)
        status = history_read(&runs[i], dirs[i], err);
    if (!status && !(html = page_html(runs, n, false, attention)))
        status = fail(err, "%s: out of memory", path);
    if (!status)
        status = atomic_write(path, html, strlen(html), err);
    for (size_t i = 0; runs && i < n; i++)
        history_close(&runs[i]);
    free(runs);
    free(html);
    free(default_path);
    return status;
}
