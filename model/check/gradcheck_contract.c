/* gradcheck_contract.c: what an operation promises beside a right derivative: see gradcheck.h. */
#include "model/check/harness.h"
#include "model/check/mistakes.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Prints the sizes that the operation's shapes mention. */
void op_describe(char *text, size_t size, const struct op_info *info, const struct op_case *c)
{
    bool wide = false, heads = false, symbols = false;
    for (size_t k = 0; k < info->count; k++) {
        wide |= strchr(info->tensors[k].shape, 'O') != NULL;
        heads |= strchr(info->tensors[k].shape, 'H') != NULL;
        symbols |= strpbrk(info->tensors[k].shape, "VP") != NULL;
    }
    int n = snprintf(text, size, "B=%zu T=%zu C=%zu", c->B, c->T, c->C);
    if (heads)
        n += snprintf(text + n, size - (size_t)n, " H=%zu", c->H);
    if (wide)
        n += snprintf(text + n, size - (size_t)n, " O=%zu", c->O);
    if (symbols)
        n += snprintf(text + n, size - (size_t)n, " V=%zu P=%zu", c->V, c->P ? c->P : c->V);
    if (c->document)
        n += snprintf(text + n, size - (size_t)n, " document=%zu", c->document);
    if (c->p > 0)
        snprintf(text + n, size - (size_t)n, " p=%g", c->p);
}

void gradcheck_where(char *text, size_t size, size_t at, const size_t *shape, int ndim)
{
    text[0] = '\0';
    size_t below = 1;
    for (int i = 1; i < ndim; i++)
        below *= shape[i];
    int n = 0;
    for (int i = 0; i < ndim && at != SIZE_MAX; i++) {
        n += snprintf(text + n, size - (size_t)n, "[%zu]", at / below);
        at %= below;
        below /= i + 1 < ndim ? shape[i + 1] : 1;
    }
}

void check_report(struct check *k, size_t tensor, struct gradcheck_line *line)
{
    size_t shape[3];
    const struct op_tensor *t = &k->b.info->tensors[tensor];
    gradcheck_where(line->where, sizeof line->where, line->at, shape, op_shape(shape, t, &k->b.c));
    snprintf(line->tensor, sizeof line->tensor, "%s", t->name);
    line->subject = k->b.subject->name;
    op_describe(line->sizes, sizeof line->sizes, k->b.info, &k->b.c);
    line->ok = line->error <= line->tolerance; /* not a number fails */
    k->failed += !line->ok;
    if (k->g->report)
        k->g->report(k->g->to, line);
}

int copy_tensors(struct copy *copy, const struct harness *b, bool differentiable_only)
{
    for (size_t t = 0; t < b->info->count; t++) {
        const struct op_tensor *tensor = &b->info->tensors[t];
        const bool wanted =
            differentiable_only ? op_differentiable(tensor) : tensor->role != ROLE_SCRATCH;
        if (b->size[t] == 0 || !wanted)
            continue;
        if (!(copy->x[t] = malloc(b->size[t] * sizeof(double))))
            return -1;
        memcpy(copy->x[t], b->x[NUMBER_F64][t], b->size[t] * sizeof(double));
    }
    return 0;
}

void copy_free(struct copy *copy)
{
    for (size_t t = 0; t < OP_TENSORS_MAX; t++)
        free(copy->x[t]);
}

/* To the bit. */
void check_unchanged(struct check *k, const struct copy *copy, const char *method)
{
    for (size_t t = 0; t < k->b.info->count; t++) {
        if (!copy->x[t] ||
            !memcmp(copy->x[t], k->b.x[NUMBER_F64][t], k->b.size[t] * sizeof(double)))
            continue;
        check_report(k, t,
                     &(struct gradcheck_line){.method = method,
                                              .size = k->b.size[t],
                                              .checked = k->b.size[t],
                                              .error = INFINITY,
                                              .at = SIZE_MAX});
    }
}

/* Compares what the forward left in tensor t with other numbers for it. */
static void compare_forward(struct check *k, size_t t, const char *method, enum number n,
                            const void *other)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < k->b.size[t]; i++) {
        const double x = number_get(NUMBER_F64, k->b.x[NUMBER_F64][t], i),
                     z = number_get(n, other, i);
        difference += (x - z) * (x - z);
        size += z * z;
    }
    check_report(k, t,
                 &(struct gradcheck_line){.method = method,
                                          .size = k->b.size[t],
                                          .checked = k->b.size[t],
                                          .error = difference == 0 ? 0 : sqrt(difference / size),
                                          .at = SIZE_MAX,
                                          .tolerance = GRADCHECK_OP_TOLERANCE});
}

static bool written(const struct op_tensor *t)
{
    return t->role == ROLE_OUTPUT || t->role == ROLE_SAVED;
}

/* The double forward must be the real part of the complex one, else the complex step would vouch for another function; and it
 * must be the definition, since forward and backward of a wrong function may agree. */
int check_forward(struct check *k)
{
    struct harness *b = &k->b;
    void *x[OP_TENSORS_MAX];
    int failed = 0;
    for (size_t t = 0; t < b->info->count; t++) {
        const bool own = !op_differentiable(&b->info->tensors[t]) && b->size[t];
        x[t] = own ? malloc(b->size[t] * sizeof(double)) : b->x[NUMBER_F64][t];
        failed |= own && !x[t];
    }
    if (!failed) {
        struct op_case right = b->c;
        right.faults = 0;
        plain_f64[b->subject->op].call_forward(NULL, x, &right);
    }
    for (size_t t = 0; t < b->info->count; t++) {
        if (!failed && written(&b->info->tensors[t])) {
            compare_forward(k, t, "both builds", NUMBER_C128, b->x[NUMBER_C128][t]);
            compare_forward(k, t, "definition", NUMBER_F64, x[t]);
        }
        if (!op_differentiable(&b->info->tensors[t]))
            free(x[t]);
    }
    return failed ? -1 : 0;
}
