/* history_json.c: a run's history as the page reads it; see history.h. */
#include "train/report/history.h"
#include <math.h>
#include <string.h>

static void put_number(FILE *out, double x)
{
    if (isfinite(x))
        fprintf(out, "%.7g", x);
    else
        fputs("null", out);
}

static void put_item(FILE *out, const cJSON *item)
{
    char *text = item ? cJSON_PrintUnformatted(item) : NULL;
    fputs(text ? text : "null", out);
    cJSON_free(text);
}

static void put_string(FILE *out, const char *text)
{
    cJSON *item = cJSON_CreateString(text);
    put_item(out, item);
    cJSON_Delete(item);
}

enum part { MEAN, LOW, HIGH, FIRST };

static void put_column(FILE *out, const struct curves *c, size_t column, size_t from,
                       enum part part)
{
    putc('[', out);
    for (size_t i = from; i < c->count; i++) {
        const struct curve_cell *cell = &c->cells[i * c->columns + column];
        if (i > from)
            putc(',', out);
        put_number(out, !cell->n       ? NAN
                        : part == MEAN ? curve_mean(cell)
                        : part == LOW  ? cell->low
                        : part == HIGH ? cell->high
                                       : cell->first);
    }
    putc(']', out);
}

static void put_parts(FILE *out, const struct curves *c, size_t column, size_t from)
{
    fputs("{\"mean\":", out);
    put_column(out, c, column, from, MEAN);
    if (c->width > 1) {
        fputs(",\"low\":", out);
        put_column(out, c, column, from, LOW);
        fputs(",\"high\":", out);
        put_column(out, c, column, from, HIGH);
    }
    putc('}', out);
}

/* The beginning of a table, up to its columns. The last bucket that was seen may have grown since. */
static size_t put_head(FILE *out, const char *name, const struct curves *c, uint64_t epoch,
                       uint64_t seen_epoch, uint64_t seen)
{
    for (uint64_t width = c->width; width > 1; width /= 2)
        epoch++;
    const size_t from = seen_epoch == epoch && seen && seen <= c->count ? (size_t)seen - 1 : 0;
    fprintf(out, ",\n\"%s\":{\"epoch\":%llu,\"from\":%zu,\"width\":%llu,\"x\":[", name,
            (unsigned long long)epoch, from, (unsigned long long)c->width);
    for (size_t i = from; i < c->count; i++) {
        if (i > from)
            putc(',', out);
        fprintf(out, "%.15g", c->x[i]);
    }
    fputs("],\"columns\":{", out);
    return from;
}

static void put_steps(const struct history *h, const struct history_seen *seen, FILE *out)
{
    size_t from =
        put_head(out, "steps", &h->steps, h->epochs[0], seen->steps.epoch, seen->steps.count);
    for (size_t k = 0; k < STEP_COLUMNS; k++) {
        fprintf(out, "%s\"%s\":", k ? "," : "", history_columns[k]);
        if (k == TOKENS || k == SECONDS) /* they only grow: the first belongs to the bucket's x */
            put_column(out, &h->steps, k, from, FIRST);
        else
            put_parts(out, &h->steps, k, from);
    }
    fputs("}}", out);
    from = put_head(out, "evaluations", &h->evaluations, h->epochs[0], seen->evaluations.epoch,
                    seen->evaluations.count);
    fputs("\"val_loss\":", out);
    put_parts(out, &h->evaluations, 0, from);
    fputs("}}", out);
}

static void put_tensors(const struct history *h, const struct history_seen *seen, FILE *out)
{
    static const char *const kinds[3] = {"weight", "grad", "update"};
    const size_t from = put_head(out, "tensors", &h->tensors, h->epochs[1], seen->tensors.epoch,
                                 seen->tensors.count);
    for (size_t kind = 0; kind < 3; kind++) {
        fprintf(out, "%s\"%s\":{", kind ? "," : "", kinds[kind]);
        for (size_t i = 0; i < h->n_tensors; i++) {
            if (i)
                putc(',', out);
            put_string(out, h->tensor_names[i]);
            putc(':', out);
            put_parts(out, &h->tensors, 3 * i + kind, from);
        }
        putc('}', out);
    }
    fputs("}}", out);
}

static void put_samples(const struct history *h, const struct history_seen *seen, FILE *out)
{
    const struct object_list *l = &h->samples;
    uint64_t epoch = h->epochs[2];
    for (uint64_t stride = l->stride; stride > 1; stride /= 2)
        epoch++;
    const size_t from =
        seen->samples.epoch == epoch && seen->samples.count && seen->samples.count <= l->count
            ? seen->samples.count - 1
            : 0;
    fprintf(out, ",\n\"samples\":{\"epoch\":%llu,\"from\":%zu,\"list\":[",
            (unsigned long long)epoch, from);
    for (size_t i = from; i < l->count; i++) {
        if (i > from)
            putc(',', out);
        put_item(out, l->list[i]);
    }
    fputs("]}", out);
}

void history_json(const struct history *h, const struct history_seen *seen, FILE *out)
{
    const size_t length = strlen(h->dir);
    size_t end = length;
    while (end > 1 && h->dir[end - 1] == '/')
        end--;
    char name[256];
    snprintf(name, sizeof name, "%.*s", (int)(end < sizeof name ? end : sizeof name - 1), h->dir);
    fputs("{\"name\":", out);
    put_string(out, name);
    fputs(",\n\"config\":", out);
    put_item(out, h->config);
    fputs(",\n\"starts\":[", out);
    for (size_t i = 0; i < h->starts.count; i++) {
        if (i)
            putc(',', out);
        put_item(out, h->starts.list[i]);
    }
    fprintf(out, "],\n\"bad_lines\":%llu,\"last\":{\"step\":", (unsigned long long)h->bad_lines);
    put_number(out, h->last_step);
    for (int k = 0; k < STEP_COLUMNS; k++) {
        fprintf(out, ",\"%s\":", history_columns[k]);
        put_number(out, h->last[k]);
    }
    fputs("},\"best\":{\"step\":", out);
    put_number(out, h->best_step);
    fputs(",\"val_loss\":", out);
    put_number(out, h->best_val_loss);
    putc('}', out);
    put_steps(h, seen, out);
    put_tensors(h, seen, out);
    put_samples(h, seen, out);
    fputs("}\n", out);
}
