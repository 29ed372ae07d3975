/* diagnosis.c: a function is run beside the right one in every small case of its operation, on the same numbers. Where it differs,
 * every planted mistake runs too, then every pair of them, and one that gives the same numbers in all cases is the mistake.
 *
 * Gradients are compared as they stand after the call, over random numbers that stood there before: an assignment differs from an
 * addition.
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
/* Of a mistake in a degenerate case, where it may multiply what rounding left. */
static const double LOOSE = 1e-6;
/* Errors this small come from a number type or a constant, not from a wrong formula. */
static const double FEW_DIGITS = 1e-5;

struct investigation {
    struct diagnosis *d;
    struct gradcheck_subject subject;
    struct op_code code; /* the operation's callers, with the functions in question */
    struct trial *trial;
    size_t trials;
    bool backward;
    struct candidate candidate[CANDIDATES_MAX];
    size_t candidates;
};

/* What a forward writes, or a backward adds to. */
static bool compared(const struct op_tensor *t, bool backward)
{
    return backward ? op_differentiable(t) : t->role == ROLE_OUTPUT || t->role == ROLE_SAVED;
}

static double error_of(const struct set *a, const struct set *right, const struct harness *b,
                       size_t t)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < b->size[t]; i++) {
        const double x = ((double *)a->x[t])[i], y = ((double *)right->x[t])[i];
        difference += (x - y) * (x - y);
        size += y * y;
    }
    return difference == 0 ? 0 : sqrt(difference / size);
}

/* The largest error over all that is compared. */
static double worst_error(const struct set *a, const struct set *right, const struct harness *b,
                          bool backward)
{
    double worst = 0;
    for (size_t t = 0; t < b->info->count; t++) {
        if (b->size[t] && compared(&b->info->tensors[t], backward))
            worst = worse(worst, error_of(a, right, b, t));
    }
    return worst;
}

static struct set *theirs(const struct investigation *v, struct trial *t)
{
    return v->backward ? &t->given : &t->given_forward;
}

static struct set *correct(const struct investigation *v, struct trial *t)
{
    return v->backward ? &t->right : &t->forward;
}

/* How far one mistake, or two together, are from the given results, over all cases; stops at the first that rules them out. */
static double distance(const struct investigation *v, const struct candidate *one,
                       const struct candidate *two)
{
    const struct op_code *plain = &plain_f64[v->subject.op];
    double worst = 0;
    for (size_t i = 0; i < v->trials && worst <= TOLERANCE; i++) {
        struct trial *t = &v->trial[i];
        struct op_case c = t->b.c;
        candidate_plant(&c, one);
        if (two)
            candidate_plant(&c, two);
        if (v->backward)
            trial_backward(&t->other, &t->saved, &t->b, plain, &c);
        else
            trial_forward(&t->other, &t->b, plain, &c);
        const double e = worst_error(theirs(v, t), &t->other, &t->b, v->backward);
        if (!(harness_degenerate(&t->b) && e <= LOOSE))
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
    const int n = snprintf(text, size, "your %s_%s ", op_symbol(v->subject.op),
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
        const double e = distance(v, &v->candidate[i], NULL);
        if (e <= TOLERANCE) {
            char name[160];
            candidate_name(name, sizeof name, &v->candidate[i]);
            answer(v, KNOWN_MISTAKE, "matches %s to %.0e: %s", name, fmax(e, 1e-16),
                   v->candidate[i].mistake->why);
            return true;
        }
    }
    return false;
}

static bool match_pair(const struct investigation *v)
{
    for (size_t i = 0; i < v->candidates; i++)
        for (size_t j = 0; j < i; j++) {
            const double e = distance(v, &v->candidate[j], &v->candidate[i]);
            if (e <= TOLERANCE) {
                char first[160], second[160];
                candidate_name(first, sizeof first, &v->candidate[j]);
                candidate_name(second, sizeof second, &v->candidate[i]);
                answer(v, KNOWN_MISTAKE, "matches %s and %s together to %.0e", first, second,
                       fmax(e, 1e-16));
                return true;
            }
        }
    return false;
}

/* Is every gradient as it was before the call? */
static bool match_nothing(const struct investigation *v)
{
    bool touched = !v->backward;
    for (size_t i = 0; i < v->trials && !touched; i++)
        touched = trial_touched(&v->trial[i].given, &v->trial[i].b);
    if (!touched)
        answer(v, UNKNOWN_MISTAKE, "adds nothing to any gradient");
    return !touched;
}

/* "with B=2 T=1 C=3 (wrong in 5 of 8 cases)": a case, and whether the error depends on sizes. */
static void describe_cases(char *text, size_t size, const struct investigation *v, struct trial *t)
{
    char sizes[96];
    size_t wrong = 0;
    for (size_t i = 0; i < v->trials; i++) {
        struct trial *other = &v->trial[i];
        wrong += !(worst_error(theirs(v, other), correct(v, other), &other->b, v->backward) <=
                   TOLERANCE);
    }
    op_describe(sizes, sizeof sizes, t->b.info, &t->b.c);
    snprintf(text, size, "with %s (wrong in %zu of %zu cases)", sizes, wrong, v->trials);
}

/* A gradient that no planted mistake gives may still be the right one untouched, assigned, or times a number. */
static bool match_simple(const struct investigation *v, struct trial *t, size_t k,
                         const double *start)
{
    const double *got = t->given.x[k], *right = t->right.x[k];
    double added = 0, assigned = 0, dot = 0, size = 0;
    for (size_t i = 0; i < t->b.size[k]; i++) {
        const double g = right[i] - start[i], h = got[i] - start[i];
        added += h * h;
        assigned += (got[i] - g) * (got[i] - g);
        dot += g * h;
        size += g * g;
    }
    const double factor = dot / size, unlike = added - factor * dot;
    char name[OP_NAME_MAX], where[160];
    op_argument(name, &t->b.info->tensors[k]);
    describe_cases(where, sizeof where, v, t);
    if (!(size > 0))
        return false;
    if (added == 0)
        answer(v, UNKNOWN_MISTAKE, "adds nothing to d%s, %s", name, where);
    else if (assigned <= 1e-20 * size)
        answer(v, UNKNOWN_MISTAKE, "assigns d%s where it must add, %s", name, where);
    else if (t->b.size[k] > 2 && fabs(unlike) <= 1e-14 * added)
        answer(v, UNKNOWN_MISTAKE, "gives a d%s that is %.6g times the right one, %s", name, factor,
               where);
    else
        return false;
    return true;
}

/* The first element that differs, as what a backward adds. */
static void describe_element(const struct investigation *v, struct trial *t, size_t k,
                             const double *start)
{
    const struct op_tensor *tensor = &t->b.info->tensors[k];
    const double *got = theirs(v, t)->x[k], *right = correct(v, t)->x[k];
    double size = 0;
    for (size_t i = 0; i < t->b.size[k]; i++)
        size += right[i] * right[i] / (double)t->b.size[k];
    size_t at = 0, shape[3];
    while (at + 1 < t->b.size[k] && fabs(got[at] - right[at]) <= TOLERANCE * sqrt(size))
        at++;
    char name[OP_NAME_MAX], where[64], cases[160];
    gradcheck_where(where, sizeof where, at, shape, op_shape(shape, tensor, &t->b.c));
    describe_cases(cases, sizeof cases, v, t);
    op_argument(name, tensor);
    answer(v, UNKNOWN_MISTAKE,
           "is wrong, and matches no known mistake: %s it first differs at %s%s%s: expected %.12g, "
           "got %.12g%s",
           cases, v->backward ? "d" : "", name, where, right[at] - start[at], got[at] - start[at],
           isnan(got[at])
               ? " (what lies outside of an array, or was not written yet, is not a number here)"
               : "");
}

/* Describes tensor k of a trial if it differs. */
static bool describe_tensor(const struct investigation *v, struct trial *t, size_t k)
{
    if (error_of(theirs(v, t), correct(v, t), &t->b, k) <= TOLERANCE)
        return false;
    double *start = calloc(t->b.size[k], sizeof *start);
    if (!start)
        return false;
    if (v->backward)
        trial_start(start, &t->b, k);
    if (!v->backward || !match_simple(v, t, k, start))
        describe_element(v, t, k, start);
    free(start);
    return true;
}

/* The first tensor that differs, in the first case where anything does; one that has more than a few elements, if there is. */
static void describe_difference(const struct investigation *v)
{
    for (int any = 0; any < 2; any++)
        for (size_t n = 0; n < v->trials; n++)
            for (size_t k = 0; k < v->trial[n].b.info->count; k++) {
                const size_t size = v->trial[n].b.size[k];
                if (size && (any || size > 2) &&
                    compared(&v->trial[n].b.info->tensors[k], v->backward) &&
                    describe_tensor(v, &v->trial[n], k))
                    return;
            }
}

/* Runs the given function once in a case, into `out`. */
static void call_given(const struct investigation *v, struct trial *t, struct set *out,
                       const char *sizes)
{
    snprintf(v->d->doing, sizeof v->d->doing, "%s_%s with %s", op_symbol(v->subject.op),
             v->backward ? "backward" : "forward", sizes);
    if (v->backward)
        trial_backward(out, &t->saved, &t->b, &v->code, &t->b.c);
    else
        trial_forward(out, &t->b, &v->code, &t->b.c);
    v->d->doing[0] = '\0';
}

/* Says so, and returns false, where the call wrote beyond an end. */
static bool kept_inside(const struct investigation *v, struct trial *t, const char *sizes)
{
    const struct set *const sets[] = {v->backward ? &t->saved : &t->given_forward, &t->given};
    for (size_t i = 0; i < (v->backward ? 2 : 1); i++) {
        const size_t k = trial_overrun(sets[i], &t->b);
        if (k == t->b.info->count)
            continue;
        char name[OP_NAME_MAX];
        op_argument(name, &t->b.info->tensors[k]);
        answer(v, UNKNOWN_MISTAKE, "writes outside of %s%s, with %s", i ? "d" : "", name, sizes);
        return false;
    }
    return true;
}

/* May the function in question write this tensor? A backward of the loss writes the losses again. */
static bool may_write(const struct investigation *v, const struct op_tensor *t)
{
    return t->role == ROLE_SCRATCH || (!v->backward && !op_differentiable(t)) ||
           (v->subject.op == OP_LOSS && t->role == ROLE_OUTPUT);
}

/* Says so, and returns false, where the call changed what it may only read. */
static bool kept_inputs(const struct investigation *v, struct trial *t, const char *sizes)
{
    const struct set *x = v->backward ? &t->saved : &t->given_forward;
    for (size_t k = 0; k < t->b.info->count; k++) {
        const struct op_tensor *tensor = &t->b.info->tensors[k];
        const size_t bytes = t->b.size[k] * sizeof(double);
        const bool gradient = v->backward && tensor->role == ROLE_OUTPUT &&
                              memcmp(t->given.x[k], t->b.upstream[0][k], bytes);
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

/* Says so, and returns false, where the same call gives other numbers another time. */
static bool repeats_itself(const struct investigation *v, struct trial *t, const char *sizes)
{
    call_given(v, t, &t->other, sizes);
    for (size_t k = 0; k < t->b.info->count; k++) {
        const struct op_tensor *tensor = &t->b.info->tensors[k];
        if (t->b.size[k] && compared(tensor, v->backward) &&
            memcmp(t->other.x[k], theirs(v, t)->x[k], t->b.size[k] * sizeof(double))) {
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

/* Runs the given function in every case; false where it does what it must not. */
static bool run_given(const struct investigation *v)
{
    for (size_t i = 0; i < v->trials; i++) {
        struct trial *t = &v->trial[i];
        char sizes[96];
        op_describe(sizes, sizeof sizes, t->b.info, &t->b.c);
        call_given(v, t, theirs(v, t), sizes);
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
        worst = worse(worst, worst_error(theirs(v, t), correct(v, t), &t->b, backward));
    }
    if (worst <= TOLERANCE)
        answer(v, RIGHT, "is right: the largest error over %zu cases is %.0e", v->trials,
               fmax(worst, 1e-17));
    else if (match_single(v) || match_nothing(v) || match_pair(v))
        return;
    else if (worst <= FEW_DIGITS)
        answer(
            v, UNKNOWN_MISTAKE,
            "agrees to %.0e only: is something computed in float, or a constant short of digits?",
            worst);
    else
        describe_difference(v);
}

void diagnose(struct diagnosis *d, enum op op, op_function *forward, op_function *backward)
{
    size_t count;
    const struct op_case *cases = op_cases(op, &count);
    struct investigation v = {
        .d = d, .subject = gradcheck_subject(op), .trial = calloc(count, sizeof *v.trial)};
    v.candidates = candidates_of(v.candidate, op);
    v.code = op == OP_BLOCK ? block_flat_f64 : v.subject.code[NUMBER_F64];
    v.code.forward = forward;
    v.code.backward = backward;
    d->out_of_memory = !v.trial;
    for (size_t i = 0; i < count && !d->out_of_memory; i++)
        if (!cases[i].large)
            d->out_of_memory =
                trial_create(&v.trial[v.trials++], &v.subject, &cases[i], i + 1) != 0;
    if (!d->out_of_memory && forward)
        investigate(&v, false);
    if (!d->out_of_memory && backward)
        investigate(&v, true);
    for (size_t i = 0; i < v.trials; i++)
        trial_destroy(&v.trial[i]);
    free(v.trial);
}
