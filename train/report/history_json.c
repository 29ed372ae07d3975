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

/* Adds a table from a row on. Returns the object of its columns. */
static cJSON *add_curves(cJSON *run, enum history_table table, const struct curves *c, size_t from)
{
    cJSON *object = cJSON_AddObjectToObject(run, history_tables[table]);
    cJSON_AddNumberToObject(object, "from", (double)from);
    cJSON_AddNumberToObject(object, "width", (double)c->width);
    cJSON_AddItemToObject(
        object, "x", json_numbers(c->count ? c->x + from : NULL, c->count - from, 1, DIGITS_OF_X));
    return cJSON_AddObjectToObject(object, "columns");
}

static void add_steps(cJSON *run, const struct curves *c, size_t from)
{
    cJSON *columns = add_curves(run, STEPS, c, from);
    for (size_t k = 0; k < STEP_COLUMNS; k++)
        if (k == TOKENS || k == SECONDS) /* they only grow: the first value belongs to x */
            cJSON_AddItemToObject(columns, history_columns[k],
                                  statistic(c, &c->cells[k].first, from));
        else
            add_statistics(columns, history_columns[k], c, k, from);
}

static void add_tensors(cJSON *run, const struct curves *c, const cJSON *names, size_t from)
{
    static const char *const kinds[3] = {"weight", "grad", "update"};
    cJSON *columns = add_curves(run, TENSORS, c, from);
    for (size_t kind = 0; kind < 3; kind++) {
        cJSON *object = cJSON_AddObjectToObject(columns, kinds[kind]);
        const cJSON *name = names ? names->child : NULL;
        for (size_t k = kind; name; k += 3, name = name->next)
            add_statistics(object, name->string, c, k, from);
    }
}

static void add_samples(cJSON *run, const cJSON *samples, size_t from)
{
    cJSON *object = cJSON_AddObjectToObject(run, "samples"),
          *list = cJSON_AddArrayToObject(object, "list");
    cJSON_AddNumberToObject(object, "from", (double)from);
    for (cJSON *s = cJSON_GetArrayItem(samples, (int)from); s; s = s->next)
        cJSON_AddItemReferenceToArray(list, s);
}

char *history_json(const struct history *h, const struct history_seen *seen)
{
    cJSON *run = cJSON_CreateObject();
    const uint64_t epoch = h->epoch + halvings(h->steps.width) + halvings(h->evaluations.width) +
                           halvings(h->tensors.width) + halvings(h->samples.stride);
    const size_t counts[] = {h->steps.count, h->evaluations.count, h->tensors.count,
                             (size_t)cJSON_GetArraySize(h->samples.array)};
    size_t from[HISTORY_TABLES] = {0}; /* the last row that was seen may have changed */
    for (int i = 0; i < HISTORY_TABLES; i++)
        if (seen->epoch == epoch && seen->counts[i] && seen->counts[i] <= counts[i])
            from[i] = seen->counts[i] - 1;
    cJSON_AddStringToObject(run, "name", h->dir);
    if (h->config)
        cJSON_AddItemReferenceToObject(run, "config", h->config);
    cJSON_AddItemReferenceToObject(run, "starts", h->starts.array);
    cJSON_AddNumberToObject(run, "bad_lines", (double)h->bad_lines);
    cJSON_AddNumberToObject(run, "epoch", (double)epoch);
    cJSON *last = cJSON_AddObjectToObject(run, "last"), *best;
    cJSON_AddNumberToObject(last, "step", h->last_step);
    for (int k = 0; k < STEP_COLUMNS; k++)
        cJSON_AddNumberToObject(last, history_columns[k], h->last[k]);
    best = cJSON_AddObjectToObject(run, "best");
    cJSON_AddNumberToObject(best, "step", h->best_step);
    cJSON_AddNumberToObject(best, "val_loss", h->best_val_loss);
    add_steps(run, &h->steps, from[STEPS]);
    add_statistics(add_curves(run, EVALUATIONS, &h->evaluations, from[EVALUATIONS]), "val_loss",
                   &h->evaluations, 0, from[EVALUATIONS]);
    add_tensors(run, &h->tensors, h->tensor_names, from[TENSORS]);
    add_samples(run, h->samples.array, from[SAMPLES]);
    char *text = cJSON_PrintUnformatted(run);
    cJSON_Delete(run);
    return text;
}
