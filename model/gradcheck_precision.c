/* gradcheck_precision.c: the float build, with its own fast paths, against the double build on the same inputs.
 *
 * How far float may be off follows from the operation, not from a guess. A stable algorithm returns what exact arithmetic would
 * return for inputs that each differ by a few roundings u = 2^-24 (Higham 2002, "Accuracy and Stability of Numerical Algorithms",
 * section 1.5). So inputs and upstream gradients are moved by u at random, in double, and how far a result f moves then,
 *
 *     kappa = |f(x (1 + u delta)) - f(x)|,   |delta_i| <= 1
 *
 * is what u does to this result here. The bound is K sqrt(n) (kappa + u |f|), for a chain of n operations that each round on their
 * own. Sums make kappa grow as they make float's own error grow, with the root of their length, so K does not depend on it.
 */
#include "gradcheck_bench.h"
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double U = FLT_EPSILON / 2, K = 8;

static double chain(enum op op)
{
    return op == OP_MLP ? 3 : op == OP_BLOCK ? 9 : 1;
}

/* Gradients from zero, and what the forward left, of one pass. */
struct results {
    double *x[OP_TENSORS_MAX]; /* outputs, or gradients of inputs and parameters */
};

static void free_results(struct results *r)
{
    for (size_t t = 0; t < OP_TENSORS_MAX; t++)
        free(r->x[t]);
}

/* Forward and backward in one number type, from what stands in b->x; upstream gradients times (1 + u delta) where random is
 * given. */
static int pass(struct results *r, struct bench *b, enum number n, uint64_t *random)
{
    void *dx[OP_TENSORS_MAX] = {0};
    int failed = 0;
    for (size_t t = 0; t < b->info->count; t++) {
        const bool output = b->info->tensors[t].role == ROLE_OUTPUT;
        if (b->size[t] == 0 || !(output || op_differentiable(&b->info->tensors[t])))
            continue;
        dx[t] = calloc(b->size[t], number_size(n));
        r->x[t] = malloc(b->size[t] * sizeof(double));
        failed |= !dx[t] || !r->x[t];
        for (size_t i = 0; output && !failed && i < b->size[t]; i++) {
            const double moved = random ? U * ((random_bits(random) >> 11) * 0x1p-52 - 1) : 0;
            number_put(n, dx[t], i, b->upstream[0][t][i] * (1 + moved), 0);
        }
    }
    if (!failed) {
        const struct op_code *code = &b->subject->code[n];
        bench_forward(b, n);
        bench_poison(b, n, ROLE_SCRATCH);
        code->call_backward(code->backward, dx, b->x[n], &b->c);
    }
    for (size_t t = 0; t < b->info->count; t++) {
        const bool output = b->info->tensors[t].role == ROLE_OUTPUT;
        for (size_t i = 0; !failed && dx[t] && i < b->size[t]; i++)
            r->x[t][i] = number_get(n, output ? b->x[n][t] : dx[t], i);
        free(dx[t]);
    }
    return failed ? -1 : 0;
}

static void move_inputs(struct bench *b, uint64_t *random)
{
    for (size_t t = 0; t < b->info->count; t++)
        for (size_t i = 0; b->value[t] && i < b->size[t]; i++) {
            const double moved = U * ((random_bits(random) >> 11) * 0x1p-52 - 1);
            number_put(NUMBER_F64, b->x[NUMBER_F64][t], i, b->value[t][i] * (1 + moved), 0);
        }
}

static double distance(const double *x, const double *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (x[i] - y[i]) * (x[i] - y[i]);
    return sqrt(sum);
}

static void compare(struct check *k, const struct results *exact, const struct results *moved, const struct results *single)
{
    for (size_t t = 0; t < k->b.info->count; t++) {
        if (!exact->x[t])
            continue;
        const size_t n = k->b.size[t];
        double size = 0;
        for (size_t i = 0; i < n; i++)
            size += exact->x[t][i] * exact->x[t][i];
        size = sqrt(size);
        const double error = distance(single->x[t], exact->x[t], n), kappa = distance(moved->x[t], exact->x[t], n);
        check_report(
            k, t,
            &(struct gradcheck_line){.method = "float",
                                     .size = n,
                                     .checked = n,
                                     .error = error == 0 ? 0 : error / size,
                                     .at = SIZE_MAX,
                                     .tolerance = size == 0 ? 0 : K * sqrt(chain(k->b.subject->op)) * (kappa / size + U)});
    }
}

int check_precision(struct check *k)
{
    struct results exact = {0}, moved = {0}, single = {0};
    uint64_t random = k->g->seed ^ 0x666C6F61;
    if (bench_degenerate(&k->b))
        return 0;
    bench_reset(&k->b, NUMBER_F32);
    bench_reset(&k->b, NUMBER_F64);
    int failed = pass(&single, &k->b, NUMBER_F32, NULL) || pass(&exact, &k->b, NUMBER_F64, NULL);
    if (!failed) {
        bench_reset(&k->b, NUMBER_F64);
        move_inputs(&k->b, &random);
        failed = pass(&moved, &k->b, NUMBER_F64, &random);
    }
    if (!failed)
        compare(k, &exact, &moved, &single);
    free_results(&exact);
    free_results(&moved);
    free_results(&single);
    return failed ? -1 : 0;
}
