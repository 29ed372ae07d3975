/* report.c: see report.h. */
#include "train/report/report.h"
#include "base/atomic.h"
#include "train/report/page.h"
#include <stdlib.h>

static int read_runs(struct history *runs, const char *const *dirs, size_t n, struct error *err)
{
    int status = 0;
    for (size_t i = 0; i < n && !status; i++)
        status = history_read(&runs[i], dirs[i], err);
    return status;
}

int report_write(const char *const *dirs, size_t n, const char *path, struct error *err)
{
    struct history *runs = calloc(n, sizeof *runs);
    char *page = NULL;
    size_t size;
    int status = runs ? read_runs(runs, dirs, n, err) : fail(err, "report: no memory");
    if (status == 0) {
        FILE *out = open_memstream(&page, &size);
        if (!out || page_write(out, runs, n, false) | fclose(out))
            status = fail(err, "%s: no memory for the page", path);
    }
    if (status == 0)
        status = atomic_write(path, page, size, err);
    free(page);
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
