/* gradcheck.c: one operation's backward against its forward: see gradcheck.h.
 *
 * The backward runs on the double build, over gradients that already hold random numbers: what it must leave there is those plus
 * J^T dy, so an assignment shows. Small tensors are checked in every coordinate; of large ones a few coordinates and random
 * directions v of length 1, where the error e of a gradient shows as e . v, about |e| / sqrt(n).
 */
#include "model/check/gradcheck.h"
#include "model/check/harness.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ALL_COORDINATES = 2500,
    ALL_CENTRAL = 500,
    SOME_COORDINATES = 24,
    DIRECTIONS = 3,
    LARGE_COORDINATES = 2,
    LARGE_DIRECTIONS = 1
};

/* How far the differences may err beyond their own estimate. */
static const double CENTRAL_SAFETY = 4, CENTRAL_ROUNDING = 64 * DBL_EPSILON;
/* A comparison that knows no more than this proves nothing. */
static const double LOOSEST = 1e-6;
/* A backward adds to numbers of variance 1, and the sum rounds by half an epsilon of them, whatever the gradient's own size: of four
 * deviations, twice an epsilon. */
static const double SUM_ROUNDING = 2 * DBL_EPSILON;
/* A gradient below this part of what it could be counts as zero. */
static const double ZERO = 1e-2;

struct gradcheck_subject gradcheck_subject(enum op op)
{
    return (struct gradcheck_subject){
        op_info[op].name,
        op,
        {optable_f32[op], optable_f64[op], optable_c128[op], optable_bf16[op]},
        0};
}

/* --- the analytic gradient --- */

/* One backward over gradients that hold `before`; leaves there what it added. */
static int run_backward(struct check *k, size_t s, uint64_t *random)
{
    struct harness *b = &k->b;
    void *dx[OP_TENSORS_MAX] = {0};
    for (size_t t = 0; t < b->info->count; t++) {
        if (b->size[t] == 0)
            continue;
        if (b->info->tensors[t].role == ROLE_OUTPUT)
            dx[t] = b->upstream[s][t];
        if (op_differentiable(&b->info->tensors[t])) {
            double *before = k->dx[s][t] = malloc(b->size[t] * sizeof *before);
            double *after = dx[t] = malloc(b->size[t] * sizeof *after);
            if (!before || !after)
                return -1;
            for (size_t i = 0; i < b->size[t]; i++)
                before[i] = after[i] = random_normal(random);
        }
    }
    harness_poison(b, NUMBER_F64, ROLE_SCRATCH);
    const struct op_code *code = &b->subject->code[NUMBER_F64];
    code->call_backward(code->backward, dx, b->x[NUMBER_F64], &b->c);
    for (size_t t = 0; t < b->info->count; t++) {
        double *before = k->dx[s][t], *after = dx[t];
        if (!before)
            continue;
        for (size_t i = 0; i < b->size[t]; i++)
            before[i] = after[i] - before[i];
        free(after);
    }
    return 0;
}

static int run_backwards(struct check *k)
{
    uint64_t random = k->g->seed ^ 0x6261636B;
    struct copy copy = {0};
    int failed = copy_tensors(&copy, &k->b, false);
    for (size_t s = 0; s < UPSTREAMS && !failed; s++) {
        failed = run_backward(k, s, &random);
        if (!failed && k->g->methods & GRADCHECK_CONTRACT)
            check_unchanged(k, &copy, "unchanged by backward");
    }
    copy_free(&copy);
    return failed;
}

/* --- the comparison --- */

/* Sums over everything looked at in one tensor. */
struct sums {
    double difference, reference, magnitude, estimate; /* of squares */
    double worst, expected, got;
    size_t at, checked;
};

static void compare(struct check *k, struct sums *sums, size_t t, size_t at, unsigned method)
{
    struct harness *b = &k->b;
    const struct derivative d = method == GRADCHECK_COMPLEX ? harness_complex_step(b, t, at)
                                                            : harness_central_difference(b, t, at);
    for (size_t s = 0; s < UPSTREAMS; s++) {
        double got = 0;
        if (at != SIZE_MAX)
            got = k->dx[s][t][at];
        else
            for (size_t i = 0; i < b->size[t]; i++)
                got += k->dx[s][t][i] * b->direction[i];
        const double difference = got - d.value[s];
        sums->difference += difference * difference;
        sums->reference += d.value[s] * d.value[s];
        sums->magnitude += d.magnitude[s] * d.magnitude[s];
        sums->estimate += d.error[s] * d.error[s];
        if (worse(sums->worst, fabs(difference)) != sums->worst) {
            sums->worst = fabs(difference);
            sums->at = at;
            sums->expected = d.value[s];
            sums->got = got;
        }
    }
    sums->checked++;
}

/* Euclidean norm of the gradients that the backward gave, for comparison with `checked` of their elements. */
static double analytic_square(const struct check *k, size_t t)
{
    double sum = 0;
    for (size_t s = 0; s < UPSTREAMS; s++)
        for (size_t i = 0; i < k->b.size[t]; i++)
            sum += k->dx[s][t][i] * k->dx[s][t][i];
    return sum;
}

/* A gradient of zero is compared with what it could be: |dy| . |f| for a change of x by itself. */
static void report_sums(struct check *k, const struct sums *sums, size_t t, unsigned method)
{
    const double n = (double)k->b.size[t], looked_at = (double)sums->checked;
    const double partly = looked_at < n ? analytic_square(k, t) * looked_at / n : 0;
    const double scale = sqrt(fmax(sums->reference, fmax(partly, ZERO * ZERO * sums->magnitude)));
    const double rms = scale / sqrt(looked_at * UPSTREAMS);
    struct gradcheck_line line = {.method = method == GRADCHECK_COMPLEX ? "complex" : "central",
                                  .size = k->b.size[t],
                                  .checked = sums->checked,
                                  .error =
                                      sums->difference == 0 ? 0 : sqrt(sums->difference) / scale,
                                  .worst = sums->worst == 0 ? 0 : sums->worst / rms,
                                  .at = sums->at,
                                  .expected = sums->expected,
                                  .got = sums->got,
                                  .tolerance = GRADCHECK_OP_TOLERANCE};
    if (method == GRADCHECK_CENTRAL)
        line.tolerance = CENTRAL_SAFETY * sqrt(sums->estimate) / scale + CENTRAL_ROUNDING;
    line.tolerance = fmin(line.tolerance + SUM_ROUNDING / rms, LOOSEST);
    check_report(k, t, &line);
}

static void check_tensor(struct check *k, size_t t, unsigned method)
{
    const bool complex = method == GRADCHECK_COMPLEX, large = k->b.c.large;
    const size_t n = k->b.size[t], all = complex ? ALL_COORDINATES : ALL_CENTRAL;
    const size_t coordinates = !large ? SOME_COORDINATES : complex ? LARGE_COORDINATES : 0;
    uint64_t random = k->g->seed ^ t;
    struct sums sums = {.at = SIZE_MAX};
    if (n <= (large ? coordinates : all)) {
        for (size_t at = 0; at < n; at++)
            compare(k, &sums, t, at, method);
    } else {
        for (size_t i = 0; i < coordinates; i++) /* the first, the last, and some between */
            compare(k, &sums, t, i == 0 ? 0 : i == 1 ? n - 1 : random_bits(&random) % n, method);
        for (size_t i = 0; i < (large ? LARGE_DIRECTIONS : DIRECTIONS); i++) {
            random_direction(k->b.direction, n, &random);
            compare(k, &sums, t, SIZE_MAX, method);
        }
    }
    report_sums(k, &sums, t, method);
}

static int run(struct check *k)
{
    struct copy inputs = {0};
    const bool contract = k->g->methods & GRADCHECK_CONTRACT;
    harness_reset(&k->b, NUMBER_F64);
    harness_reset(&k->b, NUMBER_C128);
    int failed = copy_tensors(&inputs, &k->b, true);
    if (!failed) {
        harness_forward(&k->b, NUMBER_F64);
        harness_forward(&k->b, NUMBER_C128);
        if (contract)
            check_unchanged(k, &inputs, "unchanged by forward");
        failed = (contract && check_forward(k)) || run_backwards(k);
    }
    copy_free(&inputs);
    for (unsigned method = GRADCHECK_COMPLEX; method <= GRADCHECK_CENTRAL && !failed; method *= 2)
        for (size_t t = 0; t < k->b.info->count && k->g->methods & method; t++)
            if (op_differentiable(&k->b.info->tensors[t]) && k->b.size[t])
                check_tensor(k, t, method);
    if (!failed && k->g->methods & GRADCHECK_PRECISION)
        failed = check_precision(k);
    return failed;
}

int gradcheck_case(const struct gradcheck *g, const struct gradcheck_subject *s,
                   const struct op_case *c)
{
    struct check k = {.g = g};
    int failed = harness_create(&k.b, s, c, g->seed);
    if (!failed)
        failed = run(&k);
    for (size_t u = 0; u < UPSTREAMS; u++)
        for (size_t t = 0; t < OP_TENSORS_MAX; t++)
            free(k.dx[u][t]);
    harness_destroy(&k.b);
    return failed ? -1 : k.failed;
}

/* The lines of one case, until its turn to report has come. */
struct lines {
    struct gradcheck_line *line;
    size_t count, room;
    bool lost; /* one, since memory was short */
};

static void keep_line(void *to, const struct gradcheck_line *line)
{
    struct lines *lines = to;
    if (lines->count == lines->room) {
        const size_t room = 2 * lines->room + 64;
        struct gradcheck_line *more = realloc(lines->line, room * sizeof *more);
        lines->lost |= !more;
        if (!more)
            return;
        lines->line = more;
        lines->room = room;
    }
    lines->line[lines->count++] = *line;
}

/* Hands them on and frees them; -1 where one was lost. */
static int report_lines(struct lines *lines, const struct gradcheck *g)
{
    for (size_t l = 0; l < lines->count && g->report; l++)
        g->report(g->to, &lines->line[l]);
    free(lines->line);
    return lines->lost ? -1 : 0;
}

int gradcheck_cases(const struct gradcheck *g, size_t count,
                    int (*check)(const struct gradcheck *, const void *, size_t),
                    const void *subject)
{
    int failed = 0, broken = 0, stop = 0;
#pragma omp parallel for schedule(dynamic) ordered
    for (size_t i = 0; i < count; i++) {
        struct lines lines = {0};
        struct gradcheck one = *g;
        one.seed += i;
        one.report = keep_line;
        one.to = &lines;
        int stopped, f = 0;
#pragma omp atomic read
        stopped = stop;
        if (!stopped)
            f = check(&one, subject, i);
#pragma omp ordered
        {
            broken |= report_lines(&lines, g) < 0 || f < 0;
            failed += f;
#pragma omp atomic write
            stop = g->first_only && failed;
        }
    }
    return broken ? -1 : failed;
}

static int check_case(const struct gradcheck *g, const void *subject, size_t i)
{
    size_t count;
    const struct gradcheck_subject *s = subject;
    const struct op_case *c = &op_cases(s->op, &count)[i];
    return g->small_only && c->large ? 0 : gradcheck_case(g, s, c);
}

int gradcheck_op(const struct gradcheck *g, const struct gradcheck_subject *s)
{
    size_t count;
    op_cases(s->op, &count);
    return gradcheck_cases(g, count, check_case, s);
}
