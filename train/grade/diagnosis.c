/* diagnosis.c: runs a function and the right one in every small case of an operation, on the same
 * numbers. If they differ, every planted mistake is run too, then every pair of them. A mistake
 * that gives the same numbers as the function in all cases is the answer.
 *
 * Gradients hold random numbers before the call and are compared as they are after it, so that an
 * assignment differs from an addition.
 */
#include "train/grade/diagnosis.h"
#include "train/grade/investigation.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* For a mistake in a degenerate case, in which it may multiply a rounding error. */
static const double LOOSE = 1e-6;
/* Smaller errors come from a number type or a constant, not from a wrong formula. */
static const double FEW_DIGITS = 1e-5;

/* The largest error of the given results if one or two mistakes were right, over all cases up to
 * the first that rules them out. */
static double distance(const struct investigation *v, const struct planted *planted, size_t n)
{
    double worst = 0;
    for (size_t i = 0; i < v->trials && worst <= DIAGNOSIS_TOLERANCE; i++) {
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

/* Whether one or two mistakes give the same numbers. */
static bool matches(const struct investigation *v, const struct planted *planted, size_t n)
{
    const double e = distance(v, planted, n);
    char name[2][160];
    if (!(e <= DIAGNOSIS_TOLERANCE))
        return false;
    for (size_t i = 0; i < n; i++)
        candidate_name(name[i], sizeof name[i], v->subject.op, &planted[i]);
    for (size_t i = 0; i < n; i++)
        v->d->finding[v->way].mistake[i] = planted[i].mistake;
    if (n == 1)
        answer(v, KNOWN_MISTAKE, "matches %s to %.0e: %s", name[0], fmax(e, 1e-16),
               planted->mistake->why);
    else
        answer(v, KNOWN_MISTAKE, "matches %s and %s together to %.0e", name[0], name[1],
               fmax(e, 1e-16));
    return true;
}

/* Whether a mistake changes the forward. */
static bool changes_forward(const struct investigation *v, const struct planted *planted)
{
    for (struct trial *t = v->trial; t < v->trial + v->trials; t++) {
        mistakes_plant(v->subject.op, planted, 1);
        trial_run(t, &t->other, &mistaken_code_f64[v->subject.op], FORWARD);
        for (size_t k = 0; k < t->h.info->count; k++) {
            const double *x = t->other.x[k], *y = t->right[FORWARD].x[k];
            for (size_t i = 0; i < t->h.size[k]; i++)
                if (t->h.info->tensors[k].role == ROLE_OUTPUT &&
                    !(fabs(x[i] - y[i]) <= 1e-9 * (1 + fabs(y[i]))))
                    return true;
        }
    }
    return false;
}

/* Of several mistakes that give the same backward, one that explains the forward as well. */
static bool match_single(const struct investigation *v)
{
    const bool wrong = v->d->finding[FORWARD].verdict > RIGHT;
    const struct planted *best = NULL;
    for (const struct planted *p = v->candidate; p < v->candidate + v->candidates; p++) {
        if (!(distance(v, p, 1) <= DIAGNOSIS_TOLERANCE))
            continue;
        if (v->way == FORWARD || changes_forward(v, p) == wrong)
            return matches(v, p, 1);
        best = best ? best : p;
    }
    return best && matches(v, best, 1);
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

/* --- the call --- */

/* Runs the given function once in a case. -1 if it did not return. */
static int call_given(struct investigation *v, struct trial *t, bool again)
{
    trial_prepare(t, v->way, again);
    if (!worker_call(&v->worker, t - v->trial, v->way, again))
        return 0;
    v->stopped = t;
    return -1;
}

/* Checks that the call did not write outside its arrays. */
static bool kept_inside(const struct investigation *v, const struct trial *t)
{
    const struct set *const sets[] = {&t->given[v->way], &t->lent};
    for (size_t i = 0; i <= v->way; i++) {
        const size_t k = trial_overrun(sets[i], &t->h);
        char name[OP_NAME_MAX + 1];
        if (k == t->h.info->count)
            continue;
        op_argument(name, &t->h.info->tensors[k]);
        answer(v, UNKNOWN_MISTAKE, "writes outside of %s%s, with %s",
               v->way == BACKWARD && i == 0 ? "d" : "", name, t->sizes);
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
    const struct set *x = v->way == BACKWARD ? &t->lent : &t->given[FORWARD];
    for (size_t k = 0; k < t->h.info->count; k++) {
        const struct op_tensor *tensor = &t->h.info->tensors[k];
        const size_t bytes = t->h.size[k] * sizeof(double);
        char name[OP_NAME_MAX + 1];
        const bool gradient = v->way == BACKWARD && tensor->role == ROLE_OUTPUT &&
                              memcmp(t->given[BACKWARD].x[k], t->h.upstream[0][k], bytes);
        if (!gradient &&
            (bytes == 0 || may_write(v, tensor) || !memcmp(x->x[k], t->right[FORWARD].x[k], bytes)))
            continue;
        op_argument(name, tensor);
        answer(v, UNKNOWN_MISTAKE, "changes %s%s, which it may only read, with %s",
               gradient ? "d" : "", name, t->sizes);
        return false;
    }
    if (trial_symbols_kept(t))
        return true;
    answer(v, UNKNOWN_MISTAKE, "changes ids or targets, which it may only read, with %s", t->sizes);
    return false;
}

/* Checks that the second call gave the same numbers again. */
static bool repeats_itself(const struct investigation *v, const struct trial *t)
{
    struct part parts[RESULTS_MAX];
    const size_t n = parts_of(parts, v, t);
    for (size_t i = 0; i < n; i++) {
        const double *first = t->given[v->way].x[parts[i].k], *second = t->again.x[parts[i].k];
        for (size_t e = 0; e < parts[i].n; e++) {
            const size_t at = part_at(&parts[i], e);
            if (!memcmp(&first[at], &second[at], sizeof *first))
                continue;
            answer(v, UNKNOWN_MISTAKE,
                   "gives another %s when it is called again with the same arguments, with %s",
                   parts[i].name, t->sizes);
            return false;
        }
    }
    return true;
}

/* Runs the given function twice in every case. Returns false if it breaks a rule or does not
 * return. */
static bool run_given(struct investigation *v)
{
    for (struct trial *t = v->trial; t < v->trial + v->trials; t++)
        if (call_given(v, t, false) || !kept_inside(v, t) || !kept_inputs(v, t) ||
            call_given(v, t, true) || !repeats_itself(v, t))
            return false;
    return true;
}

static void investigate(struct investigation *v, enum direction way)
{
    double worst = 0;
    v->way = way;
    if (!v->worker.has[way] || v->stopped || !run_given(v))
        return;
    list_results(v);
    for (size_t i = 0; i < v->trials; i++)
        worst = worse(worst, worst_error(v, &v->trial[i], &v->trial[i].right[way]));
    if (worst <= DIAGNOSIS_TOLERANCE)
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

/* Ends the other process, and says what it did not return from, if anything. */
static int stop(struct investigation *v, bool loaded, const char *path, struct error *err)
{
    char text[64];
    const char *why = worker_stop(&v->worker, text);
    worker_output(&v->worker, v->d->printed, sizeof v->d->printed);
    if (!loaded)
        return *err->text ? -1 : fail(err, "%s: loading it %s", path, why);
    return v->stopped ? fail(err, "%s: %s_%s with %s %s", path, op_info[v->subject.op].function,
                             v->way == BACKWARD ? "backward" : "forward", v->stopped->sizes, why)
                      : 0;
}

static int create_trials(struct investigation *v)
{
    const struct op_info *info = &op_info[v->subject.op];
    if (!(v->trial = calloc(info->case_count, sizeof *v->trial)))
        return -1;
    for (size_t i = 0; i < info->case_count; i++)
        if (!info->cases[i].large &&
            trial_create(&v->trial[v->trials++], &v->subject, &info->cases[i], i + 1))
            return -1;
    return 0;
}

int diagnose(struct diagnosis *d, enum op op, const char *path, struct error *err)
{
    struct investigation v = {.d = d, .subject = gradcheck_subject(op)};
    *d = (struct diagnosis){0};
    *err->text = '\0';
    v.candidates = candidates_of(v.candidate, op);
    int status = create_trials(&v) ? fail(err, "out of memory") : 0;
    if (!status) {
        /* The process starts before the right results exist, so it cannot find them. */
        const bool loaded = !worker_start(&v.worker, op, path, v.trial, err);
        for (size_t i = 0; i < v.trials && loaded && !status; i++)
            status = trial_complete(&v.trial[i]) ? fail(err, "out of memory") : 0;
        if (loaded && !status) {
            investigate(&v, FORWARD);
            investigate(&v, BACKWARD);
        }
        status |= stop(&v, loaded, path, err);
    }
    for (size_t i = 0; i < v.trials; i++)
        trial_destroy(&v.trial[i]);
    free(v.trial);
    return status;
}
