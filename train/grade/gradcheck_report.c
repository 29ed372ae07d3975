/* gradcheck_report.c: the table of `handgrad gradcheck`, and its JSON form. */
#include "train/grade/gradcheck_report.h"
#include "model/check/harness.h"
#include "train/json.h"
#include <math.h>
#include <string.h>

static void print_json(const struct gradcheck_line *l)
{
    cJSON *o = json_add(NULL, FIELDS(TEXT("op", l->subject), TEXT("tensor", l->tensor),
                                     TEXT("method", l->method), TEXT("case", l->sizes),
                                     NUMBER("size", l->size), NUMBER("checked", l->checked),
                                     NUMBER("error", l->error), NUMBER("worst", l->worst),
                                     NUMBER("tolerance", l->tolerance)));
    cJSON_AddBoolToObject(o, "ok", l->ok);
    if (!l->ok && l->where[0])
        json_add(o, FIELDS(TEXT("at", l->where), NUMBER("expected", l->expected),
                           NUMBER("got", l->got)));
    json_print(o);
}

/* Writes "h.3.ln_1.weight" as "h.*.ln_1.weight": the layers of a model share a row. */
static void row_name(char *name, size_t size, const char *tensor)
{
    const char *rest = tensor;
    if (!strncmp(tensor, "h.", 2)) {
        rest = tensor + 2;
        while (*rest >= '0' && *rest <= '9')
            rest++;
    }
    snprintf(name, size, "%s%.48s", rest == tensor ? "" : "h.*", rest);
}

static struct gradcheck_row *find_row(struct gradcheck_report *r, const char *tensor)
{
    char name[sizeof r->row->tensor];
    row_name(name, sizeof name, tensor);
    for (size_t i = 0; i < r->rows; i++)
        if (!strcmp(r->row[i].tensor, name))
            return &r->row[i];
    struct gradcheck_row *row = &r->row[r->rows < GRADCHECK_ROWS ? r->rows++ : GRADCHECK_ROWS - 1];
    row->ok = true;
    for (size_t i = 0; i < GRADCHECK_COLUMNS; i++)
        row->cell[i].error = -1;
    memcpy(row->tensor, name, sizeof name);
    return row;
}

static size_t column_of(const char *method)
{
    for (size_t p = 0; p < GRADCHECK_PRECISIONS; p++)
        if (!strcmp(method, gradcheck_precisions[p].name))
            return COLUMN_PRECISION + p;
    return !strcmp(method, "complex")   ? COLUMN_COMPLEX
           : !strcmp(method, "central") ? COLUMN_CENTRAL
                                        : COLUMN_CONTRACT;
}

void gradcheck_collect(void *report, const struct gradcheck_line *l)
{
    struct gradcheck_report *r = report;
    r->comparisons++;
    r->failed += !l->ok;
    if (!l->ok && r->failures < GRADCHECK_FAILURES)
        r->failure[r->failures++] = *l;
    if (r->json) {
        print_json(l);
        return;
    }
    struct gradcheck_row *row = find_row(r, l->tensor);
    const size_t column = column_of(l->method);
    struct gradcheck_cell *c = &row->cell[column];
    row->ok &= l->ok;
    if (column < COLUMN_CENTRAL)
        c->error = worse(c->error, l->error);
    else if (!isnan(c->error) &&
             (c->error < 0 || c->limit == 0 || !(l->error * c->limit <= c->error * l->tolerance)))
        *c = (struct gradcheck_cell){l->error, l->tolerance};
}

void gradcheck_print_heading(void)
{
    printf("%-10s %-23s %8s   %-19s %9s", "", "", "complex", "central differences", "forward");
    for (size_t p = 0; p < GRADCHECK_PRECISIONS; p++)
        printf("   %s for double%*s", gradcheck_precisions[p].name,
               8 - (int)strlen(gradcheck_precisions[p].name), "");
    printf("\n%-10s %-23s %8s   %8s   %8s %9s", "operation", "tensor", "step", "error", "limit",
           "contract");
    for (size_t p = 0; p < GRADCHECK_PRECISIONS; p++)
        printf("   %8s   %8s", "error", "limit");
    putchar('\n');
}

static void print_cell(const struct gradcheck_cell *c, int width, bool limited)
{
    if (c->error < 0)
        printf(" %*s", width, "");
    else if (limited)
        printf("   %8.1e < %8.1e", c->error, c->limit);
    else
        printf(" %*.1e", width, c->error);
}

static void print_failure(const struct gradcheck_line *l)
{
    printf("    %s [%s] %s: error %.3g, limit %.3g", l->tensor, l->sizes, l->method, l->error,
           l->tolerance);
    if (l->where[0])
        printf("; at %s expected %.17g, got %.17g", l->where, l->expected, l->got);
    putchar('\n');
}

void gradcheck_print_rows(struct gradcheck_report *r, const char *subject)
{
    for (size_t i = 0; i < r->rows && !r->json; i++) {
        const struct gradcheck_row *row = &r->row[i];
        printf("%-10s %-23s", i ? "" : subject, row->tensor);
        print_cell(&row->cell[COLUMN_COMPLEX], 8, false);
        print_cell(&row->cell[COLUMN_CENTRAL], 21, true);
        print_cell(&row->cell[COLUMN_CONTRACT], 9, false);
        for (size_t p = COLUMN_PRECISION; p < GRADCHECK_COLUMNS; p++)
            print_cell(&row->cell[p], 21, true);
        printf("  %s\n", row->ok ? "ok" : "WRONG");
    }
    for (size_t i = 0; i < r->failures && !r->json; i++)
        print_failure(&r->failure[i]);
    r->rows = r->failures = 0;
    fflush(stdout);
}
