/* difference.c: compares results, and describes differences that no known mistake explains: a
 * gradient may be missing, assigned, or the right one times a number, which is named if it is a
 * size of the case. */
#include "train/grade/investigation.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool writes_losses(const struct investigation *v, const struct op_tensor *tensor)
{
    return v->way == BACKWARD && v->subject.op == OP_LOSS && tensor->role == ROLE_OUTPUT;
}

/* Whether tensor k is a result: a forward writes it, or a backward adds into its gradient. */
static bool compared(const struct investigation *v, const struct trial *t, size_t k)
{
    const struct op_tensor *tensor = &t->h.info->tensors[k];
    return t->h.size[k] &&
           (v->way == BACKWARD ? op_differentiable(tensor) || writes_losses(v, tensor)
                               : tensor->role == ROLE_OUTPUT || tensor->role == ROLE_SAVED);
}

size_t parts_of(struct part parts[RESULTS_MAX], const struct investigation *v,
                const struct trial *t)
{
    size_t n = 0;
    for (size_t k = 0; k < t->h.info->count; k++) {
        const struct op_tensor *tensor = &t->h.info->tensors[k];
        if (!compared(v, t, k))
            continue;
        const bool packed = !strcmp(tensor->name, "qkv"), gradient = op_differentiable(tensor);
        const size_t columns = packed ? t->h.c.C : t->h.size[k];
        for (size_t i = 0; i < (packed ? 3 : 1); i++) {
            struct part *p = &parts[n++];
            *p = (struct part){k,
                               "d",
                               i * columns,
                               columns,
                               packed ? 3 * columns : columns,
                               t->h.size[k] / (packed ? 3 : 1)};
            char *name = p->name + (v->way == BACKWARD && gradient);
            op_argument(name, tensor);
            if (packed)
                snprintf(name, 2, "%c", "qkv"[i]);
        }
    }
    return n;
}

const double *given_of(const struct investigation *v, const struct trial *t, const struct part *p)
{
    return writes_losses(v, &t->h.info->tensors[p->k]) ? t->lent.x[p->k] : t->given[v->way].x[p->k];
}

const double *expected_of(const struct investigation *v, const struct trial *t,
                          const struct part *p, const struct set *expected)
{
    if (!writes_losses(v, &t->h.info->tensors[p->k]))
        return expected->x[p->k];
    return (expected == &t->other ? &t->read : &t->right[FORWARD])->x[p->k];
}

double part_error(const struct investigation *v, const struct trial *t, const struct part *p,
                  const struct set *expected)
{
    const double *x = given_of(v, t, p), *y = expected_of(v, t, p, expected);
    double difference = 0, size = 0;
    for (size_t i = 0; i < p->n; i++) {
        const size_t at = part_at(p, i);
        difference += (x[at] - y[at]) * (x[at] - y[at]);
        size += y[at] * y[at];
    }
    return difference == 0 ? 0 : sqrt(difference / size);
}

double worst_error(const struct investigation *v, const struct trial *t, const struct set *expected)
{
    struct part parts[RESULTS_MAX];
    const size_t n = parts_of(parts, v, t);
    double worst = 0;
    for (size_t i = 0; i < n; i++)
        worst = worse(worst, part_error(v, t, &parts[i], expected));
    return worst;
}

void list_results(const struct investigation *v)
{
    struct finding *f = &v->d->finding[v->way];
    f->cases = v->trials;
    for (const struct trial *t = v->trial; t < v->trial + v->trials; t++) {
        struct part parts[RESULTS_MAX];
        const size_t n = parts_of(parts, v, t);
        f->passed += worst_error(v, t, &t->right[v->way]) <= DIAGNOSIS_TOLERANCE;
        for (size_t i = 0, r; i < n; i++) {
            for (r = 0; r < f->results && strcmp(f->result[r].name, parts[i].name); r++)
                ;
            if (r == f->results)
                strcpy(f->result[f->results++].name, parts[i].name);
            f->result[r].error =
                worse(f->result[r].error, part_error(v, t, &parts[i], &t->right[v->way]));
            f->result[r].right = f->result[r].error <= DIAGNOSIS_TOLERANCE;
        }
    }
}

/* --- descriptions --- */

void answer(const struct investigation *v, enum verdict verdict, const char *format, ...)
{
    struct finding *f = &v->d->finding[v->way];
    const int n = snprintf(f->text, sizeof f->text, "your %s_%s ", op_info[v->subject.op].function,
                           v->way == BACKWARD ? "backward" : "forward");
    va_list args;
    va_start(args, format);
    vsnprintf(f->text + n, sizeof f->text - n, format, args);
    va_end(args);
    f->verdict = verdict;
}

/* Writes "with B=2 T=1 C=3 (wrong in 5 of 8 cases)", which shows whether the error depends on
 * sizes. */
static void describe_cases(char *text, size_t size, const struct investigation *v,
                           const struct trial *t)
{
    size_t wrong = 0;
    for (size_t i = 0; i < v->trials; i++)
        wrong += !(worst_error(v, &v->trial[i], &v->trial[i].right[v->way]) <= DIAGNOSIS_TOLERANCE);
    snprintf(text, size, "with %s (wrong in %zu of %zu cases)", t->sizes, wrong, v->trials);
}

/* How a gradient relates to the right one. */
struct relation {
    double added, assigned; /* squared length of what was added; its difference from assigning */
    double size;            /* squared length of what should have been added */
    double factor, unlike;  /* the best multiple, and what differs from it */
};

static struct relation relate(const struct trial *t, const struct part *p)
{
    const double *got = t->given[BACKWARD].x[p->k], *right = t->right[BACKWARD].x[p->k],
                 *start = t->start.x[p->k];
    struct relation r = {0};
    double dot = 0;
    for (size_t i = 0; i < p->n; i++) {
        const size_t at = part_at(p, i);
        const double g = right[at] - start[at], h = got[at] - start[at];
        r.added += h * h;
        r.assigned += (got[at] - g) * (got[at] - g);
        dot += g * h;
        r.size += g * g;
    }
    r.factor = dot / r.size;
    r.unlike = fabs(r.added - r.factor * dot);
    return r;
}

static bool is_multiple(const struct relation *r, const struct part *p)
{
    return r->size > 0 && p->n > 2 && r->unlike <= 1e-14 * r->added;
}

/* Whether the gradient of this name is the right one times size^power in every case. */
static bool explains(const struct investigation *v, const char *name, char letter, double power)
{
    double first = NAN;
    bool varies = false;
    for (const struct trial *t = v->trial; t < v->trial + v->trials; t++) {
        struct part parts[RESULTS_MAX];
        const size_t n = parts_of(parts, v, t);
        const size_t size =
            letter == 'd' ? t->h.c.C / (t->h.c.H ? t->h.c.H : 1) : op_dim(&t->h.c, letter);
        const double factor = pow(size, power);
        for (size_t i = 0; i < n; i++) {
            const struct relation r = relate(t, &parts[i]);
            if (strcmp(parts[i].name, name) || !is_multiple(&r, &parts[i]))
                continue;
            if (fabs(r.factor / factor - 1) > 1e-9)
                return false;
            varies |= !isnan(first) && first != factor;
            first = factor;
        }
    }
    return varies;
}

/* Writes "1/sqrt(d)", or the number if no size explains it. */
static void name_factor(char *text, size_t size, const struct investigation *v, const char *name,
                        double factor)
{
    static const struct {
        double power;
        const char *format;
    } powers[] = {{1, "%c"}, {-1, "1/%c"}, {0.5, "sqrt(%c)"}, {-0.5, "1/sqrt(%c)"}, {2, "%c^2"}};
    const char *letters = v->subject.op == OP_ATTENTION ? "dHTCNB" : "NCTBOFVP";
    for (const char *letter = letters; *letter; letter++)
        for (size_t i = 0; i < sizeof powers / sizeof *powers; i++)
            if (explains(v, name, *letter, powers[i].power)) {
                snprintf(text, size, powers[i].format, *letter);
                return;
            }
    snprintf(text, size, "%.6g", factor);
}

static bool describe_relation(const struct investigation *v, const struct trial *t,
                              const struct part *p)
{
    const struct relation r = relate(t, p);
    char where[160], factor[32];
    describe_cases(where, sizeof where, v, t);
    if (!(r.size > 0))
        return false;
    if (r.added == 0) {
        answer(v, UNKNOWN_MISTAKE, "adds nothing to %s, %s", p->name, where);
    } else if (r.assigned <= 1e-20 * r.size) {
        answer(v, UNKNOWN_MISTAKE, "assigns %s where it must add, %s", p->name, where);
    } else if (is_multiple(&r, p)) {
        name_factor(factor, sizeof factor, v, p->name, r.factor);
        answer(v, UNKNOWN_MISTAKE, "gives a %s that is %s times the right one, %s", p->name, factor,
               where);
    } else {
        return false;
    }
    return true;
}

/* Describes the first element that differs; of a gradient, what was added. */
static void describe_element(const struct investigation *v, const struct trial *t,
                             const struct part *p)
{
    const double *got = given_of(v, t, p), *right = expected_of(v, t, p, &t->right[v->way]);
    double size = 0;
    for (size_t i = 0; i < p->n; i++)
        size += right[part_at(p, i)] * right[part_at(p, i)] / p->n;
    size_t i = 0, shape[3];
    while (i + 1 < p->n &&
           fabs(got[part_at(p, i)] - right[part_at(p, i)]) <= DIAGNOSIS_TOLERANCE * sqrt(size))
        i++;
    const size_t at = part_at(p, i);
    const int dimensions = op_shape(shape, &t->h.info->tensors[p->k], &t->h.c);
    if (p->row != p->columns)
        shape[dimensions - 1] = p->columns;
    char where[64], cases[160];
    gradcheck_where(where, sizeof where, i, shape, dimensions);
    describe_cases(cases, sizeof cases, v, t);
    const bool gradient = p->name[0] == 'd' && v->way == BACKWARD;
    const double start = gradient ? ((const double *)t->start.x[p->k])[at] : 0;
    answer(v, UNKNOWN_MISTAKE,
           "is wrong, and matches no known mistake: %s it first differs at %s%s: expected %.12g, "
           "got %.12g%s",
           cases, p->name, where, right[at] - start, got[at] - start,
           isnan(got[at])
               ? " (memory outside of arrays, or not yet written, holds NaN in this check)"
               : "");
}

static bool describe_part(const struct investigation *v, const struct trial *t,
                          const struct part *p)
{
    if (part_error(v, t, p, &t->right[v->way]) <= DIAGNOSIS_TOLERANCE)
        return false;
    const bool gradient = v->way == BACKWARD && op_differentiable(&t->h.info->tensors[p->k]);
    if (!gradient || !describe_relation(v, t, p))
        describe_element(v, t, p);
    return true;
}

/* The first part that differs, in the first case in which any does; preferably one of more than
 * two elements. */
void describe_difference(const struct investigation *v)
{
    for (int any = 0; any < 2; any++)
        for (const struct trial *t = v->trial; t < v->trial + v->trials; t++) {
            struct part parts[RESULTS_MAX];
            const size_t n = parts_of(parts, v, t);
            for (size_t i = 0; i < n; i++)
                if ((any || parts[i].n > 2) && describe_part(v, t, &parts[i]))
                    return;
        }
}
