/* diagnosis.c: runs a function and the right one in every small case of an operation, on the same
 * numbers. If they differ, every planted mistake is run too, then every pair of them. A mistake
 * that gives the same numbers as the function in all cases is the answer.
 *
 * Gradients hold random numbers before the call and are compared as they are after it, so that an
 * assignment differs from an addition.
 */
#include "train/grade/diagnosis.h"
#include "train/grade/diagnosis_candidates.h"
#include "train/grade/diagnosis_trial.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double TOLERANCE = 1e-12;
/* For a mistake in a degenerate case, in which it may multiply a rounding error. */
static const double LOOSE = 1e-6;
/* Smaller errors come from a number type or a constant, not from a wrong formula. */
static const double FEW_DIGITS = 1e-5;

struct investigation {
    struct diagnosis *d;
    struct gradcheck_subject subject;
    struct op_code code; /* the given functions with the operation's callers */
    struct trial *trial;
    size_t trials;
    enum direction way;
    struct planted candidate[CANDIDATES_MAX];
    size_t candidates;
};

/* Whether tensor k is a result: a forward writes it, or a backward adds into its gradient. */
static bool compared(const struct investigation *v, const struct trial *t, size_t k)
{
    const struct op_tensor *tensor = &t->h.info->tensors[k];
    return t->h.size[k] &&
           (v->way == BACKWARD ? op_differentiable(tensor)
                               : tensor->role == ROLE_OUTPUT || tensor->role == ROLE_SAVED);
}

/* The error of the given tensor k. */
static double error_of(const struct investigation *v, const struct trial *t,
                       const struct set *expected, size_t k)
{
    const double *x = t->given[v->way].x[k], *y = expected->x[k];
    double difference = 0, size = 0;
    for (size_t i = 0; i < t->h.size[k]; i++) {
        difference += (x[i] - y[i]) * (x[i] - y[i]);
        size += y[i] * y[i];
    }
    return difference == 0 ? 0 : sqrt(difference / size);
}

/* The largest error of the given results. */
static double worst_error(const struct investigation *v, const struct trial *t,
                          const struct set *expected)
{
    double worst = 0;
    for (size_t k = 0; k < t->h.info->count; k++)
        if (compared(v, t, k))
            worst = worse(worst, error_of(v, t, expected, k));
    return worst;
}

/* The largest error of the given results if one or two mistakes were right, over all cases up to
 * the first that rules them out. */
static double distance(const struct investigation *v, const struct planted *planted, size_t n)
{
    double worst = 0;
    for (size_t i = 0; i < v->trials && worst <= TOLERANCE; i++) {
        struct trial *t = &v->trial[i];
        mistakes_plant(v->subject.op, planted, n);
        trial_run(t, &t->other, &mistaken_code_f64[v->subject.op], v->way);
        const double e = worst_error(v, t, &t->other);
        if (!(harness_degenerate(&t->h) && e <= LOOSE))
            worst = worse(worst, e);
    }
    return worst;
}

/* --- the answer --- */

static const char *way_name(const struct investigation *v)
{
    return v->way == BACKWARD ? "backward" : "forward";
}

static void answer(const struct investigation *v, enum verdict verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void answer(const struct investigation *v, enum verdict verdict, const char *format, ...)
{
    struct finding *f = &v->d->finding[v->way];
    const int n = snprintf(f->text, sizeof f->text, "your %s_%s ", op_info[v->subject.op].function,
                           way_name(v));
    va_list args;
    va_start(args, format);
    vsnprintf(f->text + n, sizeof f->text - n, format, args);
    va_end(args);
    f->verdict = verdict;
}

struct argument {
    char name[OP_NAME_MAX + 1];
};

/* A tensor or its gradient as the functions' arguments are called. */
static struct argument argument(const struct trial *t, size_t k, bool gradient)
{
    struct argument a = {"d"};
    op_argument(a.name + gradient, &t->h.info->tensors[k]);
    return a;
}

/* Whether one or two mistakes give the same numbers. */
static bool matches(const struct investigation *v, const struct planted *planted, size_t n)
{
    const double e = distance(v, planted, n);
    char name[2][160];
    if (!(e <= TOLERANCE))
        return false;
    for (size_t i = 0; i < n; i++)
        candidate_name(name[i], sizeof name[i], v->subject.op, &planted[i]);
    if (n == 1)
        answer(v, KNOWN_MISTAKE, "matches %s to %.0e: %s", name[0], fmax(e, 1e-16),
               planted->mistake->why);
    else
        answer(v, KNOWN_MISTAKE, "matches %s and %s together to %.0e", name[0], name[1],
               fmax(e, 1e-16));
    return true;
}

static bool match_single(const struct investigation *v)
{
    for (size_t i = 0; i < v->candidates; i++)
        if (matches(v, &v->candidate[i], 1))
            return true;
    return false;
}

static bool match_pair(const struct investigation *v)
{
    for (size_t i = 0; i < v->candidates; i++)
        for (size_t j = 0; j < i; j++)
            if (matches(v, (struct planted[]){v->candidate[j], v->candidate[i]}, 2))
                return true;
    return false;
}

/* A backward that changes no gradient at all. */
static bool match_nothing(const struct investigation *v)
{
    bool touched = v->way == FORWARD;
    for (size_t i = 0; i < v->trials && !touched; i++)
        touched = trial_touched(&v->trial[i]);
    if (!touched)
        answer(v, UNKNOWN_MISTAKE, "adds nothing to any gradient");
    return !touched;
}

/* Writes "with B=2 T=1 C=3 (wrong in 5 of 8 cases)", which shows whether the error depends on
 * sizes. */
static void describe_cases(char *text, size_t size, const struct investigation *v,
                           const struct trial *t)
{
    size_t wrong = 0;
    for (size_t i = 0; i < v->trials; i++)
        wrong += !(worst_error(v, &v->trial[i], &v->trial[i].right[v->way]) <= TOLERANCE);
    snprintf(text, size, "with %s (wrong in %zu of %zu cases)", t->sizes, wrong, v->trials);
}

/* A gradient that no planted mistake explains may be missing, assigned, or the right one times a
 * number. */
static bool match_simple(const struct investigation *v, const struct trial *t, size_t k)
{
    const double *got = t->given[BACKWARD].x[k], *right = t->right[BACKWARD].x[k],
                 *start = t->start.x[k];
    double added = 0, assigned = 0, dot = 0, size = 0;
    for (size_t i = 0; i < t->h.size[k]; i++) {
        const double g = right[i] - start[i], h = got[i] - start[i];
        added += h * h;
        assigned += (got[i] - g) * (got[i] - g);
        dot += g * h;
        size += g * g;
    }
    const double factor = dot / size, unlike = added - factor * dot;
    const struct argument dx = argument(t, k, true);
    char where[160];
    describe_cases(where, sizeof where, v, t);
    if (!(size > 0))
        return false;
    if (added == 0)
        answer(v, UNKNOWN_MISTAKE, "adds nothing to %s, %s", dx.name, where);
    else if (assigned <= 1e-20 * size)
        answer(v, UNKNOWN_MISTAKE, "assigns %s where it must add, %s", dx.name, where);
    else if (t->h.size[k] > 2 && fabs(unlike) <= 1e-14 * added)
        answer(v, UNKNOWN_MISTAKE, "gives a %s that is %.6g times the right one, %s", dx.name,
               factor, where);
    else
        return false;
    return true;
}

/* Describes the first element that differs; of a backward, what it added. */
static void describe_element(const struct investigation *v, const struct trial *t, size_t k)
{
    const double *got = t->given[v->way].x[k], *right = t->right[v->way].x[k];
    double size = 0;
    for (size_t i = 0; i < t->h.size[k]; i++)
        size += right[i] * right[i] / t->h.size[k];
    size_t at = 0, shape[3];
    while (at + 1 < t->h.size[k] && fabs(got[at] - right[at]) <= TOLERANCE * sqrt(size))
        at++;
    char where[64], cases[160];
    gradcheck_where(where, sizeof where, at, shape,
                    op_shape(shape, &t->h.info->tensors[k], &t->h.c));
    describe_cases(cases, sizeof cases, v, t);
    const double start = v->way == BACKWARD ? ((const double *)t->start.x[k])[at] : 0;
    answer(
        v, UNKNOWN_MISTAKE,
        "is wrong, and matches no known mistake: %s it first differs at %s%s: expected %.12g, "
        "got %.12g%s",
        cases, argument(t, k, v->way == BACKWARD).name, where, right[at] - start, got[at] - start,
        isnan(got[at]) ? " (memory outside of arrays, or not yet written, holds NaN in this check)"
                       : "");
}

/* Describes tensor k of a trial if it differs. */
static bool describe_tensor(const struct investigation *v, const struct trial *t, size_t k)
{
    if (error_of(v, t, &t->right[v->way], k) <= TOLERANCE)
        return false;
    if (v->way == FORWARD || !match_simple(v, t, k))
        describe_element(v, t, k);
    return true;
}

/* Describes the first tensor that differs in the first case in which any does; preferably one of
 * more than two elements. */
static void describe_difference(const struct investigation *v)
{
    for (int any = 0; any < 2; any++)
        for (const struct trial *t = v->trial; t < v->trial + v->trials; t++)
            for (size_t k = 0; k < t->h.info->count; k++)
                if ((any || t->h.size[k] > 2) && compared(v, t, k) && describe_tensor(v, t, k))
                    return;
}

/* --- the call --- */

/* Runs the given function once in a case. */
static void call_given(const struct investigation *v, struct trial *t, struct set *out)
{
    snprintf(v->d->doing, sizeof v->d->doing, "%s_%s with %s", op_info[v->subject.op].function,
             way_name(v), t->sizes);
    trial_run(t, out, &v->code, v->way);
    v->d->doing[0] = '\0';
}

/* Checks that the call did not write outside its arrays. */
static bool kept_inside(const struct investigation *v, const struct trial *t)
{
    const struct set *const sets[] = {&t->given[v->way], &t->saved};
    for (size_t i = 0; i <= v->way; i++) {
        const size_t k = trial_overrun(sets[i], &t->h);
        if (k == t->h.info->count)
            continue;
        answer(v, UNKNOWN_MISTAKE, "writes outside of %s, with %s",
               argument(t, k, v->way == BACKWARD && i == 0).name, t->sizes);
        return false;
    }
    return true;
}

/* Whether the function may write this tensor. The backward of the loss writes the losses, too. */
static bool may_write(const struct investigation *v, const struct op_tensor *t)
{
    return t->role == ROLE_SCRATCH || (v->way == FORWARD && !op_differentiable(t)) ||
           (v->subject.op == OP_LOSS && t->role == ROLE_OUTPUT);
}

/* Checks that the call did not change what it may only read. */
static bool kept_inputs(const struct investigation *v, const struct trial *t)
{
    const struct set *x = v->way == BACKWARD ? &t->saved : &t->given[FORWARD];
    for (size_t k = 0; k < t->h.info->count; k++) {
        const struct op_tensor *tensor = &t->h.info->tensors[k];
        const size_t bytes = t->h.size[k] * sizeof(double);
        const bool gradient = v->way == BACKWARD && tensor->role == ROLE_OUTPUT &&
                              memcmp(t->given[BACKWARD].x[k], t->h.upstream[0][k], bytes);
        if (!gradient &&
            (bytes == 0 || may_write(v, tensor) || !memcmp(x->x[k], t->right[FORWARD].x[k], bytes)))
            continue;
        answer(v, UNKNOWN_MISTAKE, "changes %s, which it may only read, with %s",
               argument(t, k, gradient).name, t->sizes);
        return false;
    }
    if (trial_symbols_kept(t))
        return true;
    answer(v, UNKNOWN_MISTAKE, "changes ids or targets, which it may only read, with %s", t->sizes);
    return false;
}

/* Checks that the same call gives the same numbers again. */
static bool repeats_itself(const struct investigation *v, struct trial *t)
{
    call_given(v, t, &t->other);
    for (size_t k = 0; k < t->h.info->count; k++)
        if (compared(v, t, k) &&
            memcmp(t->other.x[k], t->given[v->way].x[k], t->h.size[k] * sizeof(double))) {
            answer(v, UNKNOWN_MISTAKE,
                   "gives another %s when it is called again with the same arguments, with %s",
                   argument(t, k, v->way == BACKWARD).name, t->sizes);
            return false;
        }
    return true;
}

/* Runs the given function in every case. Returns false if it breaks a rule. */
static bool run_given(const struct investigation *v)
{
    for (struct trial *t = v->trial; t < v->trial + v->trials; t++) {
        call_given(v, t, &t->given[v->way]);
        if (!kept_inside(v, t) || !kept_inputs(v, t) || !repeats_itself(v, t))
            return false;
    }
    return true;
}

static void investigate(struct investigation *v, enum direction way)
{
    v->way = way;
    if (!run_given(v))
        return;
    double worst = 0;
    for (size_t i = 0; i < v->trials; i++)
        worst = worse(worst, worst_error(v, &v->trial[i], &v->trial[i].right[way]));
    if (worst <= TOLERANCE)
        answer(v, RIGHT, "is right: the largest error over %zu cases is %.0e", v->trials,
               fmax(worst, 1e-17));
    else if (match_single(v) || match_nothing(v) || match_pair(v))
        return;
    else if (worst <= FEW_DIGITS)
        answer(v, UNKNOWN_MISTAKE,
               "agrees only to %.0e: is something computed in float, or does a constant have too "
               "few digits?",
               worst);
    else
        describe_difference(v);
}

void diagnose(struct diagnosis *d, enum op op, op_function *forward, op_function *backward)
{
    const struct op_info *info = &op_info[op];
    struct investigation v = {.d = d,
                              .subject = gradcheck_subject(op),
                              .trial = calloc(info->case_count, sizeof *v.trial)};
    v.candidates = candidates_of(v.candidate, op);
    v.code = v.subject.code[NUMBER_F64];
    v.code.forward = forward;
    v.code.backward = backward;
    d->out_of_memory = !v.trial;
    for (size_t i = 0; i < info->case_count && !d->out_of_memory; i++)
        if (!info->cases[i].large)
            d->out_of_memory =
                trial_create(&v.trial[v.trials++], &v.subject, &info->cases[i], i + 1) != 0;
    if (!d->out_of_memory && forward)
        investigate(&v, FORWARD);
    if (!d->out_of_memory && backward)
        investigate(&v, BACKWARD);
    for (size_t i = 0; i < v.trials; i++)
        trial_destroy(&v.trial[i]);
    free(v.trial);
}
