/* diagnosis.c: a function is run beside the right one in every small case of its operation, on the same numbers. Where it differs,
 * every planted mistake runs too, then every pair of them, and one that gives the same numbers in all cases is the mistake.
 *
 * Gradients are compared as they stand after the call, over random numbers that stood there before: an assignment differs from an
 * addition.
 */
#include "diagnosis.h"
#include "../model/mistakes.h"
#include "diagnosis_trial.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double TOLERANCE = 1e-12;

struct investigation {
    struct diagnosis *d;
    struct gradcheck_subject subject;
    struct op_code code; /* the operation's callers, with the functions in question */
    struct trial *trial;
    size_t trials;
    bool backward;
};

const char *diagnosis_symbol(enum op op)
{
    return op == OP_GELU_TANH || op == OP_GELU_ERF ? "gelu" : op_info[op].name;
}

/* What a forward writes, or a backward adds to. */
static bool compared(const struct op_tensor *t, bool backward)
{
    return backward ? op_differentiable(t) : t->role == ROLE_OUTPUT || t->role == ROLE_SAVED;
}

static double error_of(const struct set *a, const struct set *right, const struct bench *b, size_t t)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < b->size[t]; i++) {
        const double x = ((double *)a->x[t])[i], y = ((double *)right->x[t])[i];
        difference += (x - y) * (x - y);
        size += y * y;
    }
    return difference == 0 ? 0 : sqrt(difference / size);
}

/* The largest error over all that is compared; not a number stays one. */
static double worst_error(const struct set *a, const struct set *right, const struct bench *b, bool backward)
{
    double worst = 0;
    for (size_t t = 0; t < b->info->count; t++) {
        const double e = b->size[t] && compared(&b->info->tensors[t], backward) ? error_of(a, right, b, t) : 0;
        if (!(e <= worst))
            worst = e;
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

/* How far the mistakes `faults` are from the given results, over all cases; stops at the first that rules them out. */
static double distance(const struct investigation *v, unsigned faults)
{
    const struct op_code *plain = &plain_f64[v->subject.op];
    double worst = 0;
    for (size_t i = 0; i < v->trials && worst <= TOLERANCE; i++) {
        struct trial *t = &v->trial[i];
        if (v->backward)
            trial_backward(&t->other, &t->saved, &t->b, plain, faults);
        else
            trial_forward(&t->other, &t->b, plain, faults);
        const double e = worst_error(theirs(v, t), &t->other, &t->b, v->backward);
        if (!(e <= worst))
            worst = e;
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
    const int n = snprintf(text, size, "your %s_%s ", diagnosis_symbol(v->subject.op), v->backward ? "backward" : "forward");
    va_list args;
    va_start(args, format);
    vsnprintf(text + n, size - (size_t)n, format, args);
    va_end(args);
    *(v->backward ? &v->d->backward : &v->d->forward) = verdict;
}

static bool match_single(const struct investigation *v)
{
    for (size_t i = 0; i < mistakes_count; i++) {
        if (mistakes[i].op != v->subject.op)
            continue;
        const double e = distance(v, mistakes[i].faults);
        if (e <= TOLERANCE) {
            answer(v, KNOWN_MISTAKE, "matches \"%s\" to %.0e: %s", mistakes[i].name, fmax(e, 1e-16), mistakes[i].why);
            return true;
        }
    }
    return false;
}

static bool match_pair(const struct investigation *v)
{
    for (size_t i = 0; i < mistakes_count; i++)
        for (size_t j = 0; j < i && mistakes[i].op == v->subject.op; j++) {
            if (mistakes[j].op != v->subject.op)
                continue;
            const double e = distance(v, mistakes[i].faults | mistakes[j].faults);
            if (e <= TOLERANCE) {
                answer(v, KNOWN_MISTAKE, "matches \"%s\" and \"%s\" together to %.0e", mistakes[j].name, mistakes[i].name,
                       fmax(e, 1e-16));
                return true;
            }
        }
    return false;
}

/* A gradient that no planted mistake gives may still be the right one untouched, assigned, or times a number. */
static bool match_simple(const struct investigation *v, struct trial *t, size_t k, const double *start)
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
    const char *name = t->b.info->tensors[k].name;
    if (!(size > 0))
        return false;
    if (added == 0)
        answer(v, UNKNOWN_MISTAKE, "adds nothing to d%s", name);
    else if (assigned <= 1e-20 * size)
        answer(v, UNKNOWN_MISTAKE, "assigns d%s where it must add", name);
    else if (t->b.size[k] > 2 && fabs(unlike) <= 1e-14 * added)
        answer(v, UNKNOWN_MISTAKE, "gives a d%s that is %.6g times the right one, for B=%zu T=%zu C=%zu", name, factor, t->b.c.B,
               t->b.c.T, t->b.c.C);
    else
        return false;
    return true;
}

/* The first element that differs, as what a backward adds. */
static void describe_element(const struct investigation *v, struct trial *t, size_t k, const double *start)
{
    const struct op_tensor *tensor = &t->b.info->tensors[k];
    const double *got = theirs(v, t)->x[k], *right = correct(v, t)->x[k];
    double size = 0;
    for (size_t i = 0; i < t->b.size[k]; i++)
        size += right[i] * right[i] / (double)t->b.size[k];
    size_t at = 0, shape[3];
    while (at + 1 < t->b.size[k] && fabs(got[at] - right[at]) <= TOLERANCE * sqrt(size))
        at++;
    char where[64], sizes[96];
    gradcheck_where(where, sizeof where, at, shape, op_shape(shape, tensor, &t->b.c));
    op_describe(sizes, sizeof sizes, t->b.info, &t->b.c);
    answer(v, UNKNOWN_MISTAKE,
           "is wrong, and matches no known mistake: with %s it first differs at %s%s%s: expected %.12g, got %.12g", sizes,
           v->backward ? "d" : "", tensor->name, where, right[at] - start[at], got[at] - start[at]);
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
                if (size && (any || size > 2) && compared(&v->trial[n].b.info->tensors[k], v->backward) &&
                    describe_tensor(v, &v->trial[n], k))
                    return;
            }
}

/* Runs the given function in every case; false where it wrote what it must not. */
static bool run_given(const struct investigation *v)
{
    for (size_t i = 0; i < v->trials; i++) {
        struct trial *t = &v->trial[i];
        char sizes[96];
        op_describe(sizes, sizeof sizes, t->b.info, &t->b.c);
        snprintf(v->d->doing, sizeof v->d->doing, "%s_%s with %s", diagnosis_symbol(v->subject.op),
                 v->backward ? "backward" : "forward", sizes);
        if (v->backward)
            trial_backward(&t->given, &t->saved, &t->b, &v->code, 0);
        else
            trial_forward(&t->given_forward, &t->b, &v->code, 0);
        v->d->doing[0] = '\0';
        struct set *x = v->backward ? &t->saved : &t->given_forward;
        size_t k = trial_overrun(x, &t->b);
        const bool argument = k < t->b.info->count;
        if (!argument && v->backward)
            k = trial_overrun(&t->given, &t->b);
        if (k < t->b.info->count) {
            answer(v, UNKNOWN_MISTAKE, "writes outside of %s%s, with %s", argument ? "" : "d", t->b.info->tensors[k].name, sizes);
            return false;
        }
        for (k = 0; k < t->b.info->count; k++) {
            const enum role role = t->b.info->tensors[k].role;
            const bool own = role == ROLE_SCRATCH || (!v->backward && !op_differentiable(&t->b.info->tensors[k]));
            if (t->b.size[k] && !own && memcmp(x->x[k], t->forward.x[k], t->b.size[k] * sizeof(double)) != 0 &&
                !(v->subject.op == OP_LOSS && role == ROLE_OUTPUT)) { /* whose backward writes the losses again */
                answer(v, UNKNOWN_MISTAKE, "changes %s, which it may only read, with %s", t->b.info->tensors[k].name, sizes);
                return false;
            }
        }
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
        const double e = worst_error(theirs(v, &v->trial[i]), correct(v, &v->trial[i]), &v->trial[i].b, backward);
        if (!(e <= worst))
            worst = e;
    }
    if (worst <= TOLERANCE)
        answer(v, RIGHT, "is right: the largest error over %zu cases is %.0e", v->trials, fmax(worst, 1e-17));
    else if (!match_single(v) && !match_pair(v))
        describe_difference(v);
}

void diagnose(struct diagnosis *d, enum op op, op_function *forward, op_function *backward)
{
    size_t count;
    const struct op_case *cases = op_cases(op, &count);
    struct investigation v = {.d = d, .subject = gradcheck_subject(op), .trial = calloc(count, sizeof *v.trial)};
    v.code = v.subject.code[NUMBER_F64];
    v.code.forward = forward;
    v.code.backward = backward;
    d->out_of_memory = !v.trial;
    for (size_t i = 0; i < count && !d->out_of_memory; i++)
        if (!cases[i].large)
            d->out_of_memory = trial_create(&v.trial[v.trials++], &v.subject, &cases[i], i + 1) != 0;
    if (!d->out_of_memory && forward)
        investigate(&v, false);
    if (!d->out_of_memory && backward)
        investigate(&v, true);
    for (size_t i = 0; i < v.trials; i++)
        trial_destroy(&v.trial[i]);
    free(v.trial);
}
