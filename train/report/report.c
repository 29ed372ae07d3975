/* report.c: see report.h. */
#include "train/report/report.h"
#include "base/atomic.h"
#include "train/report/page.h"
#include <stdlib.h>
#include <string.h>

int report_write(const char *const *dirs, size_t n, const char *path, struct error *err)
{
    struct history *runs = calloc(n, sizeof *runs);
    int status = runs ? 0 : fail(err, "report: no memory");
    for (size_t i = 0; i < n && !status; i++)
        status = history_read(&runs[i], dirs[i], err);
    char *html = status ? NULL : page_html(runs, n, false);
    if (html)
        status = atomic_write(path, html, strlen(html), NULL, 0, err);
    else if (!status)
        status = fail(err, "%s: no memory for the page", path);
    free(html);
    for (size_t i = 0; runs && i < n; i++)
        history_close(&runs[i]);
    free(runs);
    return status;
}

int report_write_run(const char *dir, struct error *err)
{
    char *path;
    if (asprintf(&path, "%s/report.html", dir) < 0)
        return fail(err, "%s: no memory for its report", dir);
    const int status = report_write(&dir, 1, path, err);
    free(path);
    return status;
}
