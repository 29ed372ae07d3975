/* precision.c: compares the low-precision builds, with their fast paths, with the double build on
 * the same inputs.
 *
 * How large the error of float may be follows from the operation. A stable algorithm returns what
 * exact arithmetic would return for inputs that each differ by a few roundings u = 2^-24 (Higham
 * 2002, "Accuracy and Stability of Numerical Algorithms", section 1.5). So inputs and upstream
 * gradients are perturbed by u at random, in double. The resulting change of a result f,
 *
 *     kappa = |f(x (1 + u delta)) - f(x)|,   |delta_i| <= 1,
 *
 * the root mean square of a few draws, is the effect that u has on this result.
 *
 * A chain of stable operations need not be stable, however: no change of the inputs may have the
 * effect of a rounding error inside the chain. For example, dx of a LayerNorm is orthogonal to 1
 * and to xhat for all inputs, so of three elements one direction remains. After rounding, a
 * difference of much larger terms also points in the other directions, and the next matrix may
 * enlarge these. The effect of internal rounding errors is therefore measured too. To first order,
 * each of them, delta_i, changes the result by c_i delta_i, with the same c_i in every precision of
 * the same code. Inputs that change in their last digit redraw the rounding errors of double, so
 * the scatter of its results is that of float in other units:
 *
 *     rho = 2^28 |f64(x (1 + 2^-52 delta)) - f64(x)|,   2^28 being the ratio of the perturbations
 *
 * The bound is K sqrt(n) (max(kappa, rho) + u |f|), for a chain of n operations that round
 * independently. Sums make kappa grow like the error of float itself, with the root of their
 * length, so K does not depend on it. With products of bf16 operands everything else rounds as in
 * float, so rho is the same.
 *
 * K is 8 for float, in which every step rounds and fast exponentials err by more than one rounding.
 * It is 2 for bf16, in which only the operands of products are rounded, once per pass.
 *
 * Another precision is another row of the table below and another build in enum number.
 */
#include "model/check/gradcheck.h"
#include "model/check/harness.h"
#include <float.h>
#include <stdlib.h>

const struct gradcheck_precision gradcheck_precisions[GRADCHECK_PRECISIONS] = {
    {"float", NUMBER_F32, FLT_EPSILON / 2, 8},
    {"bf16", NUMBER_BF16, 0x1p-8, 2}, /* of the operands of products */
};

/* The length of the chain of operations in an operation. */
static double chain(enum op op)
{
    return op == OP_MLP ? 3 : op == OP_BLOCK ? 9 : 1;
}

double precision_perturb(double x, double unit, uint64_t *random)
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

enum number precision_number(const struct gradcheck_precision *p, size_t pass)
{
    return pass == PASS_LOW ? p->number : NUMBER_F64;
}

double precision_unit(const struct gradcheck_precision *p, size_t pass)
{
    return pass < PASS_PERTURBED                     ? 0
           : pass < PASS_PERTURBED + PRECISION_DRAWS ? p->unit
                                                     : DBL_EPSILON;
}

/* Root mean square of the distances of some perturbed results from the exact one. */
static double scatter(const double *const perturbed[PRECISION_DRAWS], const double *exact, size_t n)
{
    double sum = 0;
    for (size_t m = 0; m < PRECISION_DRAWS; m++)
        sum += pow(distance(perturbed[m], exact, n), 2) / PRECISION_DRAWS;
    return sqrt(sum);
}

struct gradcheck_line precision_line(const struct gradcheck_precision *p,
                                     const double *const results[PASSES], size_t n, double chain)
{
    const double *exact = results[PASS_EXACT], *const *perturbed = results + PASS_PERTURBED;
    double size = 0;
    for (size_t i = 0; i < n; i++)
        size += exact[i] * exact[i];
    size = sqrt(size);
    const double kappa = scatter(perturbed, exact, n),
                 rho =
                     FLT_EPSILON / 2 / DBL_EPSILON * scatter(perturbed + PRECISION_DRAWS, exact, n),
                 error = distance(results[PASS_LOW], exact, n);
    return whole_line(p->name, n, error == 0 ? 0 : error / size,
                      size == 0 ? 0
                                : p->factor * sqrt(chain) * (fmax(kappa, rho) / size + p->unit));
}

/* --- an operation --- */

/* Of one pass: outputs, and gradients of inputs and parameters that start at zero. */
struct results {
    double *x[OP_TENSORS_MAX];
};

/* Runs forward and backward in one number type on the numbers in h->x, with upstream gradients
 * perturbed by unit. */
static int pass(struct results *r, struct harness *h, enum number n, double unit, uint64_t *random)
{
    void *dx[OP_TENSORS_MAX] = {0};
    int failed = 0;
    for (size_t t = 0; t < h->info->count; t++) {
        const bool output = h->info->tensors[t].role == ROLE_OUTPUT;
        if (h->size[t] == 0 || !(output || op_differentiable(&h->info->tensors[t])))
            continue;
        dx[t] = calloc(h->size[t], number_size(n));
        r->x[t] = malloc(h->size[t] * sizeof(double));
        failed |= !dx[t] || !r->x[t];
        for (size_t i = 0; output && !failed && i < h->size[t]; i++)
            number_put(n, dx[t], i, precision_perturb(h->upstream[0][t][i], unit, random), 0);
    }
    if (!failed) {
        harness_forward(h, n);
        harness_poison(h, n, ROLE_SCRATCH);
        harness_backward(h, n, dx);
    }
    for (size_t t = 0; t < h->info->count; t++) {
        const bool output = h->info->tensors[t].role == ROLE_OUTPUT;
        for (size_t i = 0; !failed && dx[t] && i < h->size[t]; i++)
            r->x[t][i] = number_get(n, output ? h->x[n][t] : dx[t], i);
        free(dx[t]);
    }
    return failed ? -1 : 0;
}

static int pass_from(struct results *r, struct harness *h, enum number n, double unit,
                     uint64_t *random)
{
    harness_reset(h, n);
    for (size_t t = 0; t < h->info->count; t++)
        for (size_t i = 0; unit > 0 && h->value[t] && i < h->size[t]; i++)
            number_put(n, h->x[n][t], i, precision_perturb(h->value[t][i], unit, random), 0);
    return pass(r, h, n, unit, random);
}

static int check_one(struct check *k, const struct gradcheck_precision *p)
{
    struct results results[PASSES] = {0};
    uint64_t random = k->g->seed ^ 0x666C6F61;
    int failed = 0;
    for (size_t i = 0; i < PASSES && !failed; i++)
        failed =
            pass_from(&results[i], &k->h, precision_number(p, i), precision_unit(p, i), &random);
    for (size_t t = 0; t < k->h.info->count; t++) {
        const double *x[PASSES];
        for (size_t i = 0; i < PASSES; i++)
            x[i] = results[i].x[t];
        if (!failed && x[0])
            check_report(k, t, precision_line(p, x, k->h.size[t], chain(k->h.subject->op)));
        for (size_t i = 0; i < PASSES; i++)
            free(results[i].x[t]);
    }
    return failed ? -1 : 0;
}

int check_precision(struct check *k)
{
    int failed = 0;
    for (size_t p = 0; p < GRADCHECK_PRECISIONS && !failed && !harness_degenerate(&k->h); p++)
        if (k->h.subject->code[gradcheck_precisions[p].number]
                .forward) /* planted mistakes have no bf16 build */
            failed = check_one(k, &gradcheck_precisions[p]);
    return failed;
}
