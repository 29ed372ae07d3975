/* contract.c: what an operation promises besides a correct derivative: see gradcheck.h. */
#include "model/check/gradcheck.h"
#include "model/check/harness.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void op_describe(char *text, size_t size, const struct op_info *info, const struct op_case *c)
{
    bool wide = false, heads = false, symbols = false;
    for (size_t k = 0; k < info->count; k++) {
        wide |= strchr(info->tensors[k].shape, 'O') != NULL;
        heads |= strpbrk(info->tensors[k].shape, "HQ") != NULL;
        symbols |= strpbrk(info->tensors[k].shape, "VP") != NULL;
    }
    int n = snprintf(text, size, "B=%zu T=%zu C=%zu", c->B, c->T, c->C);
    if (heads)
        n += snprintf(text + n, size - n, " H=%zu", c->H);
    if (wide)
        n += snprintf(text + n, size - n, " O=%zu", c->O);
    if (symbols)
        n += snprintf(text + n, size - n, " V=%zu P=%zu", c->V, c->P ? c->P : c->V);
    if (c->document)
        n += snprintf(text + n, size - n, " document=%zu", c->document);
    if (c->p > 0)
        snprintf(text + n, size - n, " p=%g", c->p);
}

void check_report(struct check *k, size_t tensor, struct gradcheck_line line)
{
    size_t shape[3];
    const struct op_tensor *t = &k->h.info->tensors[tensor];
    gradcheck_where(line.where, sizeof line.where, line.at, shape, op_shape(shape, t, &k->h.c));
    snprintf(line.tensor, sizeof line.tensor, "%s", t->name);
    line.subject = k->h.subject->name;
    op_describe(line.sizes, sizeof line.sizes, k->h.info, &k->h.c);
    line.ok = line.error <= line.tolerance; /* NaN fails */
    k->failed += !line.ok;
    if (k->g->report)
        k->g->report(k->g->to, &line);
}

int copy_tensors(struct copy *copy, const struct harness *h, bool differentiable_only)
{
    for (size_t t = 0; t < h->info->count; t++) {
        const struct op_tensor *tensor = &h->info->tensors[t];
        const bool wanted =
            differentiable_only ? op_differentiable(tensor) : tensor->role != ROLE_SCRATCH;
        if (h->size[t] == 0 || !wanted)
            continue;
        if (!(copy->x[t] = malloc(h->size[t] * sizeof(double))))
            return -1;
        memcpy(copy->x[t], h->x[NUMBER_F64][t], h->size[t] * sizeof(double));
    }
    return 0;
}

void copy_free(struct copy *copy)
{
    for (size_t t = 0; t < OP_TENSORS_MAX; t++)
        free(copy->x[t]);
}

void check_unchanged(struct check *k, const struct copy *copy, const char *method)
{
    for (size_t t = 0; t < k->h.info->count; t++)
        if (copy->x[t] && memcmp(copy->x[t], k->h.x[NUMBER_F64][t], k->h.size[t] * sizeof(double)))
            check_report(k, t, whole_line(method, k->h.size[t], INFINITY, 0));
}

/* Compares what the forward wrote to tensor t with other numbers for it. */
static void compare_forward(struct check *k, size_t t, const char *method, enum number n,
                            const void *other)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < k->h.size[t]; i++) {
        const double x = number_get(NUMBER_F64, k->h.x[NUMBER_F64][t], i),
                     z = number_get(n, other, i);
        difference += (x - z) * (x - z);
        size += z * z;
    }
    check_report(k, t,
                 whole_line(method, k->h.size[t], difference == 0 ? 0 : sqrt(difference / size),
                            GRADCHECK_OP_TOLERANCE));
}

/* If the double forward were not the real part of the complex one, the complex step would check
 * another function. And a forward and a backward of the same wrong function agree, which only the
 * textbook version shows. */
int check_forward(struct check *k)
{
    struct harness *h = &k->h;
    void *x[OP_TENSORS_MAX];
    int failed = 0;
    for (size_t t = 0; t < h->info->count; t++) {
        const bool written = !op_differentiable(&h->info->tensors[t]) && h->size[t];
        x[t] = written ? malloc(h->size[t] * sizeof(double)) : h->x[NUMBER_F64][t];
        failed |= written && !x[t];
    }
    const struct op_code *plain = &plain_code_f64[h->subject->op];
    if (!failed)
        plain->call_forward(plain->forward, x, &h->c);
    for (size_t t = 0; t < h->info->count; t++) {
        const enum role role = h->info->tensors[t].role;
        if (!failed && (role == ROLE_OUTPUT || role == ROLE_SAVED)) {
            compare_forward(k, t, "both builds", NUMBER_C128, h->x[NUMBER_C128][t]);
            compare_forward(k, t, "definition", NUMBER_F64, x[t]);
        }
        if (!op_differentiable(&h->info->tensors[t]))
            free(x[t]);
    }
    return failed ? -1 : 0;
}
