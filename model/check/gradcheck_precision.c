/* gradcheck_precision.c: the builds of few digits, with their own fast paths, against the double build on the same inputs.
 *
 * How far float may be off follows from the operation, not from a guess. A stable algorithm returns what exact arithmetic would
 * return for inputs that each differ by a few roundings u = 2^-24 (Higham 2002, "Accuracy and Stability of Numerical Algorithms",
 * section 1.5). So inputs and upstream gradients are moved by u at random, in double, and how far a result f moves then,
 *
 *     kappa = |f(x (1 + u delta)) - f(x)|,   |delta_i| <= 1,   as the root mean square of a few draws
 *
 * is what u does to this result here.
 *
 * A chain of stable operations need not be stable, though: what the first ones round away, no change of the inputs may be able to do.
 * dx of a LayerNorm is orthogonal to 1 and to xhat whatever the inputs are, so of three elements one direction is left; but rounded,
 * a difference of terms much larger than it, it points to the others too, and a matrix behind it may enlarge just those. How far
 * roundings inside matter is measured as well. To first order each of them, delta_i, moves the result by c_i delta_i, with the same
 * c_i in every precision of the same code. So the scatter of double's own results, where inputs that move by their last digit draw
 * its roundings anew, is float's in other units:
 *
 *     rho = 2^28 |f64(x (1 + 2^-52 delta)) - f64(x)|,   in the same norm, 2^28 being the ratio of the two moves
 *
 * The bound is K sqrt(n) (max(kappa, rho) + u |f|), for a chain of n operations that each round on their own. Sums make kappa grow as
 * they make float's own error grow, with the root of their length, so K does not depend on it. Where products' operands alone are
 * rounded to bf16, all else rounds as float: rho is the same.
 *
 * K is 8 in float, where every step of an operation rounds and fast exponentials err by more than one rounding; 2 where operands of
 * products alone are rounded, once in each pass, and all else has float's sixteen bits more.
 *
 * Another precision is another row of the table below, and another build in enum number.
 */
#include "model/check/harness.h"
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct gradcheck_precision gradcheck_precisions[GRADCHECK_PRECISIONS] = {
    {"float", NUMBER_F32, FLT_EPSILON / 2, 8},
    {"bf16", NUMBER_BF16, 0x1p-8, 2}, /* of the products' operands; all else is float */
};

static double chain(enum op op)
{
    return op == OP_MLP ? 3 : op == OP_BLOCK ? 9 : 1;
}

double precision_move(double x, double unit, uint64_t *random)
{
    return x * (1 + unit * ((double)(random_bits(random) >> 11) * 0x1p-52 - 1));
}

static double distance(const double *x, const double *y, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (x[i] - y[i]) * (x[i] - y[i]);
    return sqrt(sum);
}

double precision_unit(const struct gradcheck_precision *p, size_t m)
{
    return m < PRECISION_MOVES ? p->unit : DBL_EPSILON;
}

/* Root mean square of how far the results of some moves are from the exact ones. */
static double scatter(const struct precision_results *r, const double *const moved[PRECISION_MOVES])
{
    double sum = 0;
    for (size_t m = 0; m < PRECISION_MOVES; m++)
        sum += pow(distance(moved[m], r->exact, r->size), 2) / PRECISION_MOVES;
    return sqrt(sum);
}

struct gradcheck_line precision_line(const struct gradcheck_precision *p,
                                     const struct precision_results *r, double chain)
{
    double size = 0;
    for (size_t i = 0; i < r->size; i++)
        size += r->exact[i] * r->exact[i];
    size = sqrt(size);
    const double kappa = scatter(r, r->moved),
                 rho = FLT_EPSILON / 2 / DBL_EPSILON * scatter(r, r->moved + PRECISION_MOVES);
    const double error = distance(r->low, r->exact, r->size);
    return (struct gradcheck_line){
        .method = p->name,
        .size = r->size,
        .checked = r->size,
        .error = error == 0 ? 0 : error / size,
        .at = SIZE_MAX,
        .tolerance = size == 0 ? 0 : p->factor * sqrt(chain) * (fmax(kappa, rho) / size + p->unit)};
}

/* --- an operation --- */

/* Outputs, and gradients of inputs and parameters from zero, of one pass. */
struct results {
    double *x[OP_TENSORS_MAX];
};

static void free_results(struct results *r)
{
    for (size_t t = 0; t < OP_TENSORS_MAX; t++)
        free(r->x[t]);
}

/* Forward and backward in one number type, from what stands in b->x; upstream gradients moved by unit. */
static int pass(struct results *r, struct harness *b, enum number n, double unit, uint64_t *random)
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
        for (size_t i = 0; output && !failed && i < b->size[t]; i++)
            number_put(n, dx[t], i, precision_move(b->upstream[0][t][i], unit, random), 0);
    }
    if (!failed) {
        const struct op_code *code = &b->subject->code[n];
        harness_forward(b, n);
        harness_poison(b, n, ROLE_SCRATCH);
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

static int pass_from(struct results *r, struct harness *b, enum number n, double unit,
                     uint64_t *random)
{
    harness_reset(b, n);
    for (size_t t = 0; t < b->info->count; t++)
        for (size_t i = 0; unit > 0 && b->value[t] && i < b->size[t]; i++)
            number_put(n, b->x[n][t], i, precision_move(b->value[t][i], unit, random), 0);
    return pass(r, b, n, unit, random);
}

static void compare(struct check *k, const struct gradcheck_precision *p,
                    const struct results *exact, const struct results *low,
                    const struct results moved[PRECISION_DRAWS])
{
    for (size_t t = 0; t < k->b.info->count; t++) {
        if (!exact->x[t])
            continue;
        struct precision_results r = {.exact = exact->x[t], .low = low->x[t], .size = k->b.size[t]};
        for (size_t m = 0; m < PRECISION_DRAWS; m++)
            r.moved[m] = moved[m].x[t];
        struct gradcheck_line line = precision_line(p, &r, chain(k->b.subject->op));
        check_report(k, t, &line);
    }
}

static int check_one(struct check *k, const struct gradcheck_precision *p)
{
    struct results exact = {0}, low = {0}, moved[PRECISION_DRAWS] = {0};
    uint64_t random = k->g->seed ^ 0x666C6F61;
    int failed = pass_from(&low, &k->b, p->number, 0, &random) ||
                 pass_from(&exact, &k->b, NUMBER_F64, 0, &random);
    for (size_t m = 0; m < PRECISION_DRAWS && !failed; m++)
        failed = pass_from(&moved[m], &k->b, NUMBER_F64, precision_unit(p, m), &random);
    if (!failed)
        compare(k, p, &exact, &low, moved);
    free_results(&exact);
    free_results(&low);
    for (size_t m = 0; m < PRECISION_DRAWS; m++)
        free_results(&moved[m]);
    return failed ? -1 : 0;
}

int check_precision(struct check *k)
{
    int failed = 0;
    for (size_t p = 0; p < GRADCHECK_PRECISIONS && !failed && !harness_degenerate(&k->b); p++)
        if (k->b.subject->code[gradcheck_precisions[p].number]
                .forward) /* planted mistakes have no bf16 build */
            failed = check_one(k, &gradcheck_precisions[p]);
    return failed;
}
