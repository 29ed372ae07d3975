/* history_json.c: the history of a run as JSON; see history.h. */
#include "train/report/history.h"
#include "train/report/json_numbers.h"
#include <math.h>
#include <string.h>

enum { DIGITS = 7, DIGITS_OF_X = 15 };

/* One statistic of a column, from a row on; first: of its first row, such as &c->cells[k].mean. */
static cJSON *statistic(const struct curves *c, const double *first, size_t from)
{
    const size_t stride = c->columns * sizeof(struct curve_cell) / sizeof(double);
    return json_numbers(first + from * stride, c->count - from, stride, DIGITS);
}

static void add_statistics(cJSON *columns, const char *name, const struct curves *c, size_t k,
                           size_t from)
{
    cJSON *object = cJSON_AddObjectToObject(columns, name);
    cJSON_AddItemToObject(object, "mean", statistic(c, &c->cells[k].mean, from));
    if (c->width > 1) {
        cJSON_AddItemToObject(object, "low", statistic(c, &c->cells[k].low, from));
        cJSON_AddItemToObject(object, "high", statistic(c, &c->cells[k].high, from));
    }
}

static unsigned halvings(uint64_t width)
{
    return width > 1 ? 1 + halvings(width / 2) : 0;
}

/* What is written, and what its reader has. */
struct writer {
    cJSON *run;
    const struct history *h;
    uint64_t epoch;
    const struct history_seen *seen;
};

/* Adds a table of so many rows. Sets *from to the first row to send: the last one that was seen,
 * since it may have changed. */
static cJSON *add_table(const struct writer *w, enum history_table table, size_t count,
                        size_t *from)
{
    cJSON *object = cJSON_AddObjectToObject(w->run, history_tables[table]);
    const size_t seen = w->seen->epoch == w->epoch ? w->seen->counts[table] : 0;
    *from = seen && seen <= count ? seen - 1 : 0;
    cJSON_AddNumberToObject(object, "from", (double)*from);
    return object;
}

/* The same for curves. Returns the object of their columns. */
static cJSON *add_curves(const struct writer *w, enum history_table table, const struct curves *c,
                         size_t *from)
{
    cJSON *object = add_table(w, table, c->count, from);
    cJSON_AddNumberToObject(object, "width", (double)c->width);
    cJSON_AddItemToObject(object, "x",
                          json_numbers(c->x + *from, c->count - *from, 1, DIGITS_OF_X));
    return cJSON_AddObjectToObject(object, "columns");
}

static void add_steps(const struct writer *w)
{
    const struct curves *c = &w->h->steps;
    size_t from;
    cJSON *columns = add_curves(w, STEPS, c, &from);
    for (size_t k = 0; k < STEP_COLUMNS; k++)
        if (k == TOKENS || k == SECONDS) /* they only grow: the first value belongs to x */
            cJSON_AddItemToObject(columns, history_columns[k],
                                  statistic(c, &c->cells[k].first, from));
        else
            add_statistics(columns, history_columns[k], c, k, from);
}

static void add_evaluations(const struct writer *w)
{
    size_t from;
    cJSON *columns = add_curves(w, EVALUATIONS, &w->h->evaluations, &from);
    add_statistics(columns, "val_loss", &w->h->evaluations, 0, from);
}

static void add_tensors(const struct writer *w)
{
    static const char *const kinds[3] = {"weight", "grad", "update"};
    size_t from;
    cJSON *columns = add_curves(w, TENSORS, &w->h->tensors, &from);
    for (size_t kind = 0; kind < 3; kind++) {
        cJSON *object = cJSON_AddObjectToObject(columns, kinds[kind]), *name;
        size_t k = kind;
        cJSON_ArrayForEach(name, w->h->tensor_names)
        {
            add_statistics(object, name->string, &w->h->tensors, k, from);
            k += 3;
        }
    }
}

static void add_samples(const struct writer *w)
{
    cJSON *array = w->h->samples.array, *sample;
    size_t from;
    cJSON *list = cJSON_AddArrayToObject(
        add_table(w, SAMPLES, (size_t)cJSON_GetArraySize(array), &from), "list");
    for (sample = cJSON_GetArrayItem(array, (int)from); sample; sample = sample->next)
        cJSON_AddItemReferenceToArray(list, sample);
}

char *history_json(const struct history *h, const struct history_seen *seen)
{
    cJSON *run = cJSON_CreateObject();
    const struct writer w = {run, h,
                             h->epoch + halvings(h->steps.width) + halvings(h->evaluations.width) +
                                 halvings(h->tensors.width) + halvings(h->samples.stride),
                             seen};
    cJSON_AddStringToObject(run, "name", h->dir);
    if (h->config)
        cJSON_AddItemReferenceToObject(run, "config", h->config);
    cJSON_AddItemReferenceToObject(run, "starts", h->starts.array);
    cJSON_AddNumberToObject(run, "bad_lines", (double)h->bad_lines);
    cJSON_AddNumberToObject(run, "epoch", (double)w.epoch);
    cJSON *last = cJSON_AddObjectToObject(run, "last");
    cJSON_AddNumberToObject(last, "step", h->last_step);
    for (int k = 0; k < STEP_COLUMNS; k++)
        cJSON_AddNumberToObject(last, history_columns[k], h->last[k]);
    cJSON *best = cJSON_AddObjectToObject(run, "best");
    cJSON_AddNumberToObject(best, "step", h->best_step);
    cJSON_AddNumberToObject(best, "val_loss", h->best_val_loss);
    add_steps(&w);
    add_evaluations(&w);
    add_tensors(&w);
    add_samples(&w);
    char *text = cJSON_PrintUnformatted(run);
    cJSON_Delete(run);
    return text;
}
