/* history_json.c: the history of a run as JSON; see history.h. */
#include "train/report/history.h"
#include "train/report/json_numbers.h"
#include <math.h>
#include <string.h>

enum { DIGITS = 7, DIGITS_OF_X = 15 };

enum statistic { MEAN, LOW, HIGH, FIRST };
static const char *const statistics[] = {"mean", "low", "high"};

static cJSON *column(const struct curves *c, size_t k, size_t from, enum statistic s)
{
    double x[c->count + 1]; /* at most 64 KB */
    for (size_t i = from; i < c->count; i++) {
        const struct curve_cell *cell = &c->cells[i * c->columns + k];
        x[i] = !cell->n    ? NAN
               : s == MEAN ? curve_mean(cell)
               : s == LOW  ? cell->low
               : s == HIGH ? cell->high
                           : cell->first;
    }
    return json_numbers(x + from, c->count - from, DIGITS);
}

static void add_statistics(cJSON *columns, const char *name, const struct curves *c, size_t k,
                           size_t from)
{
    cJSON *object = cJSON_AddObjectToObject(columns, name);
    for (enum statistic s = MEAN; s <= (c->width > 1 ? HIGH : MEAN); s++)
        cJSON_AddItemToObject(object, statistics[s], column(c, k, from, s));
}

/* Adds a table of `count` rows, each of `stride` rows of the file, and sets *from to the first row to send: the last one that was
 * seen, since it may have changed. */
static cJSON *add_table(cJSON *run, const struct history *h, const struct history_seen *seen,
                        enum history_table table, uint64_t stride, size_t count, size_t *from)
{
    cJSON *object = cJSON_AddObjectToObject(run, history_tables[table]);
    uint64_t epoch = h->epochs[table];
    for (; stride > 1; stride /= 2)
        epoch++;
    seen += table;
    *from = seen->epoch == epoch && seen->count && seen->count <= count ? seen->count - 1 : 0;
    cJSON_AddNumberToObject(object, "epoch", (double)epoch);
    cJSON_AddNumberToObject(object, "from", (double)*from);
    return object;
}

/* The same for curves. Returns the object of their columns. */
static cJSON *add_curves(cJSON *run, const struct history *h, const struct history_seen *seen,
                         enum history_table table, const struct curves *c, size_t *from)
{
    cJSON *object = add_table(run, h, seen, table, c->width, c->count, from);
    cJSON_AddNumberToObject(object, "width", (double)c->width);
    cJSON_AddItemToObject(object, "x", json_numbers(c->x + *from, c->count - *from, DIGITS_OF_X));
    return cJSON_AddObjectToObject(object, "columns");
}

static void add_steps(cJSON *run, const struct history *h, const struct history_seen *seen)
{
    size_t from;
    cJSON *columns = add_curves(run, h, seen, STEPS, &h->steps, &from);
    for (size_t k = 0; k < STEP_COLUMNS; k++)
        if (k == TOKENS || k == SECONDS) /* they only grow: the first value belongs to x */
            cJSON_AddItemToObject(columns, history_columns[k], column(&h->steps, k, from, FIRST));
        else
            add_statistics(columns, history_columns[k], &h->steps, k, from);
}

static void add_tensors(cJSON *run, const struct history *h, const struct history_seen *seen)
{
    static const char *const kinds[3] = {"weight", "grad", "update"};
    size_t from;
    cJSON *columns = add_curves(run, h, seen, TENSORS, &h->tensors, &from);
    for (size_t kind = 0; kind < 3; kind++) {
        cJSON *object = cJSON_AddObjectToObject(columns, kinds[kind]);
        for (size_t i = 0; i < h->n_tensors; i++)
            add_statistics(object, h->tensor_names[i], &h->tensors, 3 * i + kind, from);
    }
}

char *history_json(const struct history *h, const struct history_seen seen[HISTORY_TABLES])
{
    cJSON *run = cJSON_CreateObject(), *last, *best;
    size_t from;
    cJSON_AddStringToObject(run, "name", h->dir);
    if (h->config)
        cJSON_AddItemReferenceToObject(run, "config", h->config);
    cJSON_AddItemReferenceToObject(run, "starts", h->starts.array);
    cJSON_AddNumberToObject(run, "bad_lines", (double)h->bad_lines);
    last = cJSON_AddObjectToObject(run, "last");
    cJSON_AddNumberToObject(last, "step", h->last_step);
    for (int k = 0; k < STEP_COLUMNS; k++)
        cJSON_AddNumberToObject(last, history_columns[k], h->last[k]);
    best = cJSON_AddObjectToObject(run, "best");
    cJSON_AddNumberToObject(best, "step", h->best_step);
    cJSON_AddNumberToObject(best, "val_loss", h->best_val_loss);
    add_steps(run, h, seen);
    cJSON *table = add_curves(run, h, seen, EVALUATIONS, &h->evaluations, &from);
    add_statistics(table, "val_loss", &h->evaluations, 0, from);
    add_tensors(run, h, seen);
    const size_t samples = (size_t)cJSON_GetArraySize(h->samples.array);
    table = add_table(run, h, seen, SAMPLES, h->samples.stride, samples, &from);
    cJSON *list = cJSON_AddArrayToObject(table, "list"), *sample;
    cJSON_ArrayForEach(sample, h->samples.array) if (from == 0 || from-- == 0)
        cJSON_AddItemReferenceToArray(list, sample);
    char *text = cJSON_PrintUnformatted(run);
    cJSON_Delete(run);
    return text;
}
