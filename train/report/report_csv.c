/* report_csv.c: metrics.jsonl as comma-separated values: a row for each line. */
#include "base/atomic.h"
#include "base/tail.h"
#include "train/report/report.h"
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const columns[] = {"step", "tokens",    "loss",         "val_loss",
                                      "lr",   "grad_norm", "tokens_per_s", "mfu"};
enum { COLUMNS = sizeof columns / sizeof *columns };

struct writer {
    FILE *out;
    const char *run; /* first column; NULL for none */
};

/* Quotes as in RFC 4180. */
static void put_quoted(FILE *out, const char *text)
{
    putc('"', out);
    for (; *text; text++) {
        if (*text == '"')
            putc('"', out);
        putc(*text, out);
    }
    putc('"', out);
}

static void put_row(void *context, char *line, size_t n)
{
    struct writer *w = context;
    cJSON *object = cJSON_ParseWithLength(line, n);
    if (cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(object, "step"))) {
        if (w->run) {
            put_quoted(w->out, w->run);
            putc(',', w->out);
        }
        for (size_t k = 0; k < COLUMNS; k++) {
            const cJSON *x = cJSON_GetObjectItemCaseSensitive(object, columns[k]);
            if (k)
                putc(',', w->out);
            if (cJSON_IsNumber(x))
                fprintf(w->out, "%.15g", x->valuedouble);
        }
        putc('\n', w->out);
    }
    cJSON_Delete(object);
}

static int put_run(struct writer *w, const char *dir, struct error *err)
{
    struct tail file;
    if (tail_open(&file, dir, "metrics.jsonl"))
        return fail(err, "%s: no memory to read it", dir);
    int status = tail_read(&file, put_row, NULL /* it is read once */, w, err);
    if (status == 0 && !file.read)
        status = fail(err, "%s: expected the metrics of a run, found none", file.path);
    tail_close(&file);
    return status;
}

int report_csv(const char *const *dirs, size_t n, const char *path, struct error *err)
{
    char *text;
    size_t size;
    struct writer w = {.out = open_memstream(&text, &size)};
    if (!w.out)
        return fail(err, "report: out of memory");
    if (n > 1)
        fputs("run,", w.out);
    for (size_t k = 0; k < COLUMNS; k++)
        fprintf(w.out, "%s%s", k ? "," : "", columns[k]);
    putc('\n', w.out);
    int status = 0;
    for (size_t i = 0; i < n && !status; i++) {
        w.run = n > 1 ? dirs[i] : NULL;
        status = put_run(&w, dirs[i], err);
    }
    if (fclose(w.out) && !status)
        status = fail(err, "report: out of memory");
    if (!status && path)
        status = atomic_write(path, text, size, err);
    else if (!status)
        fwrite(text, 1, size, stdout);
    free(text);
    return status;
}
