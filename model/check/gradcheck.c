/* gradcheck.c: checks the backward of one operation against its forward: see gradcheck.h.
 *
 * The backward runs in the double build, on gradients that already hold random numbers. It must
 * leave there these numbers plus J^T dy, so an assignment shows. Small tensors are checked in every
 * coordinate. Of large ones, a few coordinates are checked and random directions v of length 1,
 * along which the error e of a gradient shows as e . v, about |e| / sqrt(n).
 */
#include "model/check/gradcheck.h"
#include "model/check/harness.h"
#include <float.h>
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

/* A backward adds to numbers of variance 1. The sum rounds by half an epsilon of them, whatever the
 * size of the gradient; for numbers of up to four deviations, that is two epsilons. */
static const struct comparison_bounds bounds = {.tolerance = GRADCHECK_OP_TOLERANCE,
                                                .central_rounding = 64 * DBL_EPSILON,
                                                .sum_rounding = 2 * DBL_EPSILON};

/* --- the analytic gradient --- */

/* Runs a backward on gradients that hold random numbers and leaves in k->dx what it added. */
static int run_backward(struct check *k, size_t s, uint64_t *random)
{
    struct harness *h = &k->h;
    void *dx[OP_TENSORS_MAX] = {0};
    for (size_t t = 0; t < h->info->count; t++) {
        if (h->size[t] == 0)
            continue;
        if (h->info->tensors[t].role == ROLE_OUTPUT)
            dx[t] = h->upstream[s][t];
        if (op_differentiable(&h->info->tensors[t])) {
            double *before = k->dx[s][t] = malloc(h->size[t] * sizeof *before);
            double *after = dx[t] = malloc(h->size[t] * sizeof *after);
            if (!before || !after)
                return -1;
            for (size_t i = 0; i < h->size[t]; i++)
                before[i] = after[i] = random_normal(random);
        }
    }
    harness_poison(h, NUMBER_F64, ROLE_SCRATCH);
    harness_backward(h, NUMBER_F64, dx);
    for (size_t t = 0; t < h->info->count; t++) {
        double *before = k->dx[s][t], *after = dx[t];
        if (!before)
            continue;
        for (size_t i = 0; i < h->size[t]; i++)
            before[i] = after[i] - before[i];
        free(after);
    }
    return 0;
}

static int run_backwards(struct check *k)
{
    uint64_t random = k->g->seed ^ 0x6261636B;
    struct copy copy = {0};
    int failed = copy_tensors(&copy, &k->h, false);
    for (size_t s = 0; s < UPSTREAMS && !failed; s++) {
        failed = run_backward(k, s, &random);
        if (!failed && k->g->methods & GRADCHECK_CONTRACT)
            check_unchanged(k, &copy, "unchanged by backward");
    }
    copy_free(&copy);
    return failed;
}

/* --- the comparison --- */

static void compare(struct check *k, struct comparison *sums, size_t t, size_t at)
{
    struct harness *h = &k->h;
    const struct derivative d = sums->method == GRADCHECK_COMPLEX
                                    ? harness_complex_step(h, t, at)
                                    : harness_central_difference(h, t, at);
    for (size_t s = 0; s < UPSTREAMS; s++) {
        double got = 0;
        if (at != SIZE_MAX)
            got = k->dx[s][t][at];
        else
            for (size_t i = 0; i < h->size[t]; i++)
                got += k->dx[s][t][i] * h->direction[i];
        comparison_add(sums, at, got, d.value[s], d.error[s], d.magnitude[s]);
    }
}

/* The sum of squares of a tensor's analytic gradients, over all upstream gradients. */
static double analytic_square(const struct check *k, size_t t)
{
    double sum = 0;
    for (size_t s = 0; s < UPSTREAMS; s++)
        for (size_t i = 0; i < k->h.size[t]; i++)
            sum += k->dx[s][t][i] * k->dx[s][t][i];
    return sum;
}

static void check_tensor(struct check *k, size_t t, unsigned method)
{
    const bool complex = method == GRADCHECK_COMPLEX, large = k->h.c.large;
    const size_t n = k->h.size[t], all = complex ? ALL_COORDINATES : ALL_CENTRAL;
    const size_t some = !large ? SOME_COORDINATES : complex ? LARGE_COORDINATES : 0;
    uint64_t random = k->g->seed ^ t;
    struct comparison sums = {.method = method, .at = SIZE_MAX};
    if (n <= (large ? some : all)) {
        for (size_t at = 0; at < n; at++)
            compare(k, &sums, t, at);
    } else {
        for (size_t i = 0; i < some; i++) /* the first, the last, and some between */
            compare(k, &sums, t, i == 0 ? 0 : i == 1 ? n - 1 : random_bits(&random) % n);
        for (size_t i = 0; i < (large ? LARGE_DIRECTIONS : DIRECTIONS); i++) {
            random_direction(k->h.direction, n, &random);
            compare(k, &sums, t, SIZE_MAX);
        }
    }
    check_report(
        k, t, comparison_line(&sums, n, sums.compared / UPSTREAMS, analytic_square(k, t), &bounds));
}

static int run(struct check *k)
{
    struct copy inputs = {0};
    const bool contract = k->g->methods & GRADCHECK_CONTRACT;
    harness_reset(&k->h, NUMBER_F64);
    harness_reset(&k->h, NUMBER_C128);
    int failed = copy_tensors(&inputs, &k->h, true);
    if (!failed) {
        harness_forward(&k->h, NUMBER_F64);
        harness_forward(&k->h, NUMBER_C128);
        if (contract)
            check_unchanged(k, &inputs, "unchanged by forward");
        failed = (contract && check_forward(k)) || run_backwards(k);
    }
    copy_free(&inputs);
    for (unsigned method = GRADCHECK_COMPLEX; method <= GRADCHECK_CENTRAL && !failed; method *= 2)
        for (size_t t = 0; t < k->h.info->count && k->g->methods & method; t++)
            if (op_differentiable(&k->h.info->tensors[t]) && k->h.size[t])
                check_tensor(k, t, method);
    if (!failed && k->g->methods & GRADCHECK_PRECISION)
        failed = check_precision(k);
    return failed;
}

int gradcheck_case(const struct gradcheck *g, const struct gradcheck_subject *s,
                   const struct op_case *c)
{
    struct check k = {.g = g};
    int failed = harness_create(&k.h, s, c, g->seed);
    if (!failed)
        failed = run(&k);
    for (size_t u = 0; u < UPSTREAMS; u++)
        for (size_t t = 0; t < OP_TENSORS_MAX; t++)
            free(k.dx[u][t]);
    harness_destroy(&k.h);
    return failed ? -1 : k.failed;
}

/* --- all cases --- */

/* Keeps a line in a stream until those of earlier cases have been reported. */
static void keep_line(void *stream, const struct gradcheck_line *line)
{
    fwrite(line, sizeof *line, 1, stream);
}

int gradcheck_cases(const struct gradcheck *g, size_t count,
                    int (*check)(const struct gradcheck *, const void *, size_t),
                    const void *subject)
{
    int failed = 0, broken = 0, stop = 0;
#pragma omp parallel for schedule(dynamic) ordered
    for (size_t i = 0; i < count; i++) {
        char *lines = NULL;
        size_t size = 0;
        FILE *stream = open_memstream(&lines, &size);
        struct gradcheck one = *g;
        one.seed += i;
        one.report = keep_line;
        one.to = stream;
        int stopped, f = 0;
#pragma omp atomic read
        stopped = stop;
        if (!stopped && stream)
            f = check(&one, subject, i);
        const bool lost = !stream || ferror(stream) | fclose(stream);
#pragma omp ordered
        {
            for (size_t l = 0; l < size && g->report; l += sizeof(struct gradcheck_line))
                g->report(g->to, (void *)(lines + l));
            free(lines);
            broken |= lost || f < 0;
            failed += f;
#pragma omp atomic write
            stop = g->first_only && failed;
        }
    }
    return broken ? -1 : failed;
}

static int check_case(const struct gradcheck *g, const void *subject, size_t i)
{
    const struct gradcheck_subject *s = subject;
    const struct op_case *c = &op_info[s->op].cases[i];
    return g->small_only && c->large ? 0 : gradcheck_case(g, s, c);
}

int gradcheck_op(const struct gradcheck *g, const struct gradcheck_subject *s)
{
    return gradcheck_cases(g, op_info[s->op].case_count, check_case, s);
}
