/* diagnosis.c: runs a function and the right one in every small case of an operation, on the same numbers.
 * If they differ, every planted mistake is run too, then every pair of them. A mistake that gives the
 * same numbers as the function in all cases is the answer.
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
    bool backward;
    struct planted candidate[CANDIDATES_MAX];
    size_t candidates;
};

/* Whether a forward writes the tensor, or a backward adds into its gradient. */
static bool compared(const struct op_tensor *t, bool backward)
{
    return backward ? op_differentiable(t) : t->role == ROLE_OUTPUT || t->role == ROLE_SAVED;
}

static double error_of(const struct set *a, const struct set *right, const struct harness *h,
                       size_t t)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < h->size[t]; i++) {
        const double x = ((double *)a->x[t])[i], y = ((double *)right->x[t])[i];
        difference += (x - y) * (x - y);
        size += y * y;
    }
    return difference == 0 ? 0 : sqrt(difference / size);
}

/* The largest error over all tensors that are compared. */
static double worst_error(const struct set *a, const struct set *right, const struct harness *h,
                          bool backward)
{
    double worst = 0;
    for (size_t t = 0; t < h->info->count; t++) {
        if (h->size[t] && compared(&h->info->tensors[t], backward))
            worst = worse(worst, error_of(a, right, h, t));
    }
    return worst;
}

static struct set *given_results(const struct investigation *v, struct trial *t)
{
    return v->backward ? &t->given : &t->given_forward;
}

static struct set *right_results(const struct investigation *v, struct trial *t)
{
    return v->backward ? &t->right : &t->forward;
}

/* The largest error of one or two mistakes against the given results, over all cases up to the first
 * that rules them out. */
static double distance(const struct investigation *v, const struct planted *planted, size_t n)
{
    const struct op_code *mistaken = &mistaken_code_f64[v->subject.op];
    double worst = 0;
    for (size_t i = 0; i < v->trials && worst <= TOLERANCE; i++) {
        struct trial *t = &v->trial[i];
        mistakes_plant(v->subject.op, planted, n);
        if (v->backward)
            trial_backward(&t->other, &t->saved, &t->h, mistaken);
        else
            trial_forward(&t->other, &t->h, mistaken);
        const double e = worst_error(given_results(v, t), &t->other, &t->h, v->backward);
        if (!(harness_degenerate(&t->h) && e <= LOOSE))
            worst = worse(worst, e);
    }
    return worst;
}

/* --- the answer --- */

static char *text_of(const struct investigation *v)
{
    return v->backward ? v->d->backward_text : v->d->forward_text;
}

static void answer(const struct investigation *v, enum verdict verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void answer(const struct investigation *v, enum verdict verdict, const char *format, ...)
{
    char *text = text_of(v);
    const size_t size = sizeof v->d->forward_text;
    const int n = snprintf(text, size, "your %s_%s ", op_info[v->subject.op].function,
                           v->backward ? "backward" : "forward");
    va_list args;
    va_start(args, format);
    vsnprintf(text + n, size - (size_t)n, format, args);
    va_end(args);
    *(v->backward ? &v->d->backward : &v->d->forward) = verdict;
}

static bool match_single(const struct investigation *v)
{
    for (size_t i = 0; i < v->candidates; i++) {
        const struct planted *p = &v->candidate[i];
        const double e = distance(v, p, 1);
        char name[160];
        if (!(e <= TOLERANCE))
            continue;
        candidate_name(name, sizeof name, v->subject.op, p);
        answer(v, KNOWN_MISTAKE, "matches %s to %.0e: %s", name, fmax(e, 1e-16), p->mistake->why);
        return true;
    }
    return false;
}

static bool match_pair(const struct investigation *v)
{
    for (size_t i = 0; i < v->candidates; i++)
        for (size_t j = 0; j < i; j++) {
            const struct planted pair[2] = {v->candidate[j], v->candidate[i]};
            const double e = distance(v, pair, 2);
            char first[160], second[160];
            if (!(e <= TOLERANCE))
                continue;
            candidate_name(first, sizeof first, v->subject.op, &pair[0]);
            candidate_name(second, sizeof second, v->subject.op, &pair[1]);
            answer(v, KNOWN_MISTAKE, "matches %s and %s together to %.0e", first, second,
                   fmax(e, 1e-16));
            return true;
        }
    return false;
}

/* A backward that changes no gradient at all. */
static bool match_nothing(const struct investigation *v)
{
    bool touched = !v->backward;
    for (size_t i = 0; i < v->trials && !touched; i++)
        touched = trial_touched(&v->trial[i].given, &v->trial[i].h);
    if (!touched)
        answer(v, UNKNOWN_MISTAKE, "adds nothing to any gradient");
    return !touched;
}

/* Writes "with B=2 T=1 C=3 (wrong in 5 of 8 cases)", which shows whether the error depends on sizes. */
static void describe_cases(char *text, size_t size, const struct investigation *v, struct trial *t)
{
    char sizes[96];
    size_t wrong = 0;
    for (size_t i = 0; i < v->trials; i++) {
        struct trial *other = &v->trial[i];
        wrong += !(worst_error(given_results(v, other), right_results(v, other), &other->h,
                               v->backward) <= TOLERANCE);
    }
    op_describe(sizes, sizeof sizes, t->h.info, &t->h.c);
    snprintf(text, size, "with %s (wrong in %zu of %zu cases)", sizes, wrong, v->trials);
}

/* A gradient that no planted mistake explains may be missing, assigned, or the right one times a number. */
static bool match_simple(const struct investigation *v, struct trial *t, size_t k,
                         const double *start)
{
    const double *got = t->given.x[k], *right = t->right.x[k];
    double added = 0, assigned = 0, dot = 0, size = 0;
    for (size_t i = 0; i < t->h.size[k]; i++) {
        const double g = right[i] - start[i], h = got[i] - start[i];
        added += h * h;
        assigned += (got[i] - g) * (got[i] - g);
        dot += g * h;
        size += g * g;
    }
    const double factor = dot / size, unlike = added - factor * dot;
    char name[OP_NAME_MAX], where[160];
    op_argument(name, &t->h.info->tensors[k]);
    describe_cases(where, sizeof where, v, t);
    if (!(size > 0))
        return false;
    if (added == 0)
        answer(v, UNKNOWN_MISTAKE, "adds nothing to d%s, %s", name, where);
    else if (assigned <= 1e-20 * size)
        answer(v, UNKNOWN_MISTAKE, "assigns d%s where it must add, %s", name, where);
    else if (t->h.size[k] > 2 && fabs(unlike) <= 1e-14 * added)
        answer(v, UNKNOWN_MISTAKE, "gives a d%s that is %.6g times the right one, %s", name, factor,
               where);
    else
        return false;
    return true;
}

/* Describes the first element that differs; of a backward, what it added. */
static void describe_element(const struct investigation *v, struct trial *t, size_t k,
                             const double *start)
{
    const struct op_tensor *tensor = &t->h.info->tensors[k];
    const double *got = given_results(v, t)->x[k], *right = right_results(v, t)->x[k];
    double size = 0;
    for (size_t i = 0; i < t->h.size[k]; i++)
        size += right[i] * right[i] / (double)t->h.size[k];
    size_t at = 0, shape[3];
    while (at + 1 < t->h.size[k] && fabs(got[at] - right[at]) <= TOLERANCE * sqrt(size))
        at++;
    char name[OP_NAME_MAX], where[64], cases[160];
    gradcheck_where(where, sizeof where, at, shape, op_shape(shape, tensor, &t->h.c));
    describe_cases(cases, sizeof cases, v, t);
    op_argument(name, tensor);
    answer(v, UNKNOWN_MISTAKE,
           "is wrong, and matches no known mistake: %s it first differs at %s%s%s: expected %.12g, "
           "got %.12g%s",
           cases, v->backward ? "d" : "", name, where, right[at] - start[at], got[at] - start[at],
           isnan(got[at])
               ? " (memory outside of arrays, or not yet written, holds NaN in this check)"
               : "");
}

/* Describes tensor k of a trial if it differs. */
static bool describe_tensor(const struct investigation *v, struct trial *t, size_t k)
{
    if (error_of(given_results(v, t), right_results(v, t), &t->h, k) <= TOLERANCE)
        return false;
    double *start = calloc(t->h.size[k], sizeof *start);
    if (!start)
        return false;
    if (v->backward)
        trial_start(start, &t->h, k);
    if (!v->backward || !match_simple(v, t, k, start))
        describe_element(v, t, k, start);
    free(start);
    return true;
}

/* Describes the first tensor that differs in the first case in which any does; preferably one of more
 * than two elements. */
static void describe_difference(const struct investigation *v)
{
    for (int any = 0; any < 2; any++)
        for (size_t n = 0; n < v->trials; n++)
            for (size_t k = 0; k < v->trial[n].h.info->count; k++) {
                const size_t size = v->trial[n].h.size[k];
                if (size && (any || size > 2) &&
                    compared(&v->trial[n].h.info->tensors[k], v->backward) &&
                    describe_tensor(v, &v->trial[n], k))
                    return;
            }
}

/* Runs the given function once in a case. */
static void call_given(const struct investigation *v, struct trial *t, struct set *out,
                       const char *sizes)
{
    snprintf(v->d->doing, sizeof v->d->doing, "%s_%s with %s", op_info[v->subject.op].function,
             v->backward ? "backward" : "forward", sizes);
    if (v->backward)
        trial_backward(out, &t->saved, &t->h, &v->code);
    else
        trial_forward(out, &t->h, &v->code);
    v->d->doing[0] = '\0';
}

/* Checks that the call did not write outside its arrays. */
static bool kept_inside(const struct investigation *v, struct trial *t, const char *sizes)
{
    const struct set *const sets[] = {v->backward ? &t->saved : &t->given_forward, &t->given};
    for (size_t i = 0; i < (v->backward ? 2 : 1); i++) {
        const size_t k = trial_overrun(sets[i], &t->h);
        if (k == t->h.info->count)
            continue;
        char name[OP_NAME_MAX];
        op_argument(name, &t->h.info->tensors[k]);
        answer(v, UNKNOWN_MISTAKE, "writes outside of %s%s, with %s", i ? "d" : "", name, sizes);
        return false;
    }
    return true;
}

/* Whether the function may write this tensor. The backward of the loss writes the losses, too. */
static bool may_write(const struct investigation *v, const struct op_tensor *t)
{
    return t->role == ROLE_SCRATCH || (!v->backward && !op_differentiable(t)) ||
           (v->subject.op == OP_LOSS && t->role == ROLE_OUTPUT);
}

/* Checks that the call did not change what it may only read. */
static bool kept_inputs(const struct investigation *v, struct trial *t, const char *sizes)
{
    const struct set *x = v->backward ? &t->saved : &t->given_forward;
    for (size_t k = 0; k < t->h.info->count; k++) {
        const struct op_tensor *tensor = &t->h.info->tensors[k];
        const size_t bytes = t->h.size[k] * sizeof(double);
        const bool gradient = v->backward && tensor->role == ROLE_OUTPUT &&
                              memcmp(t->given.x[k], t->h.upstream[0][k], bytes);
        if (!gradient &&
            (bytes == 0 || may_write(v, tensor) || !memcmp(x->x[k], t->forward.x[k], bytes)))
            continue;
        char name[OP_NAME_MAX];
        op_argument(name, tensor);
        answer(v, UNKNOWN_MISTAKE, "changes %s%s, which it may only read, with %s",
               gradient ? "d" : "", name, sizes);
        return false;
    }
    if (trial_symbols_kept(t))
        return true;
    answer(v, UNKNOWN_MISTAKE, "changes ids or targets, which it may only read, with %s", sizes);
    return false;
}

/* Checks that the same call gives the same numbers again. */
static bool repeats_itself(const struct investigation *v, struct trial *t, const char *sizes)
{
    call_given(v, t, &t->other, sizes);
    for (size_t k = 0; k < t->h.info->count; k++) {
        const struct op_tensor *tensor = &t->h.info->tensors[k];
        if (t->h.size[k] && compared(tensor, v->backward) &&
            memcmp(t->other.x[k], given_results(v, t)->x[k], t->h.size[k] * sizeof(double))) {
            char name[OP_NAME_MAX];
            op_argument(name, tensor);
            answer(v, UNKNOWN_MISTAKE,
                   "gives another %s%s when it is called again with the same arguments, with %s",
                   v->backward ? "d" : "", name, sizes);
            return false;
        }
    }
    return true;
}

/* Runs the given function in every case. Returns false if it breaks a rule. */
static bool run_given(const struct investigation *v)
{
    for (size_t i = 0; i < v->trials; i++) {
        struct trial *t = &v->trial[i];
        char sizes[96];
        op_describe(sizes, sizeof sizes, t->h.info, &t->h.c);
        call_given(v, t, given_results(v, t), sizes);
        if (!kept_inside(v, t, sizes) || !kept_inputs(v, t, sizes) || !repeats_itself(v, t, sizes))
            return false;
    }
    return true;
}

static void investigate(struct investigation *v, bool backward)
{
    v->backward = backward;
    if (!run_given(v))
        return;
    double worst = 0;
    for (size_t i = 0; i < v->trials; i++) {
        struct trial *t = &v->trial[i];
        worst =
            worse(worst, worst_error(given_results(v, t), right_results(v, t), &t->h, backward));
    }
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
        investigate(&v, false);
    if (!d->out_of_memory && backward)
        investigate(&v, true);
    for (size_t i = 0; i < v.trials; i++)
        trial_destroy(&v.trial[i]);
    free(v.trial);
}
