/* adamw_check.c: AdamW's definition, element by element in double, with optional mistakes.
 *
 * The steps make every part of the formula matter: gradients of very different sizes (so that eps
 * counts for some of them, and clipping applies in some steps only), few steps (bias correction), a
 * large decay, and tensors with and without decay.
 */
#include "optim/adamw_check.h"
#include "model/real.h"
#include "optim/adamw.h"
#include "optim/clip.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One entry per mistake: identifier, name, reason. */
#define MISTAKE_LIST(ENTRY)                                                                        \
    ENTRY(COUPLED_DECAY, "coupled decay",                                                          \
          "decay added to the gradient, so that Adam divides it by sqrt(v)")                       \
    ENTRY(NO_BIAS_CORRECTION, "no bias correction", "the first steps are too small by 1 - beta^t") \
    ENTRY(EPS_INSIDE, "eps inside the root", "sqrt(v + eps): larger where v is small")             \
    ENTRY(CLIP_PER_TENSOR, "clipping per tensor",                                                  \
          "each tensor by its own norm: the direction changes")                                    \
    ENTRY(DECAY_EVERYTHING, "decay on every tensor", "biases and LayerNorm gains shrink too")      \
    ENTRY(DECAY_WITHOUT_LR, "decay without the learning rate", "the schedule no longer scales it") \
    ENTRY(STEP_FROM_ZERO, "steps counted from zero", "1 - beta^0 = 0 in the first correction")     \
    ENTRY(NO_ROOT, "v without its root", "m / v: the step grows as gradients shrink")              \
    ENTRY(ONE_BETA, "beta1 for both moments", "v forgets as fast as m")                            \
    ENTRY(CLIP_BY_VALUE, "clipping by value", "elements are cut, not the norm")

#define IDENTIFIER(id, name, why)      id,
#define NAME_AND_REASON(id, name, why) {name, why},
enum mistake { MISTAKE_LIST(IDENTIFIER) };
static const struct optim_mistake mistakes[] = {MISTAKE_LIST(NAME_AND_REASON)};
_Static_assert(sizeof mistakes / sizeof *mistakes == OPTIM_MISTAKES, "OPTIM_MISTAKES");

const struct optim_mistake *NAME(optcheck_mistake)(size_t mistake)
{
    return &mistakes[mistake];
}

static const struct adamw options = {
    .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-3, .weight_decay = 0.25};
static const double max_norm = 0.5;

static double norm(const double *g, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += g[i] * g[i];
    return sqrt(sum);
}

/* One update; see adamw.c for the formula. p: parameters, first and second moments. */
static void plain_step(double *p, const double *grads, const struct tensors *tensors, double lr,
                       uint64_t step, int mistake)
{
    double *m = p + tensors->total, *v = m + tensors->total;
    const double total = norm(grads, tensors->total), /* gaps between tensors are zero */
        b1 = options.beta1, b2 = mistake == ONE_BETA ? b1 : options.beta2, eps = options.eps,
                 t = (double)step - (mistake == STEP_FROM_ZERO);
    const bool correct = mistake != NO_BIAS_CORRECTION && t > 0;
    const double c1 = correct ? 1 - pow(b1, t) : 1, c2 = correct ? 1 - pow(b2, t) : 1;
    for (size_t k = 0; k < tensors->count; k++) {
        const struct tensor *x = &tensors->list[k];
        const double decay = x->decays || mistake == DECAY_EVERYTHING ? options.weight_decay : 0,
                     own = mistake == CLIP_PER_TENSOR ? norm(grads + x->offset, x->size) : total,
                     factor = clip_factor(own, max_norm);
        for (size_t i = x->offset; i < x->offset + x->size; i++) {
            double g = mistake == CLIP_BY_VALUE ? fmax(-max_norm, fmin(max_norm, grads[i]))
                                                : factor * grads[i];
            if (mistake == COUPLED_DECAY)
                g += decay * p[i];
            else
                p[i] -= (mistake == DECAY_WITHOUT_LR ? 1 : lr) * decay * p[i];
            m[i] = b1 * m[i] + (1 - b1) * g;
            v[i] = b2 * v[i] + (1 - b2) * g * g;
            const double divisor = mistake == NO_ROOT      ? v[i] / c2 + eps
                                   : mistake == EPS_INSIDE ? sqrt(v[i] / c2 + eps)
                                                           : sqrt(v[i] / c2) + eps;
            p[i] -= lr * (m[i] / c1) / divisor;
        }
    }
}

/* Pseudo-random numbers in (-1, 1). */
static double noise(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (double)(*state >> 8) * 0x1p-23 - 1;
}

/* Draws the parameters (step 0) or the gradients of a step, rounded to `real`, and as doubles. */
static void draw(real *rounded, double *x, const struct tensors *t, uint64_t step, uint32_t *random)
{
    for (size_t k = 0; k < t->count; k++)
        for (size_t i = t->list[k].offset; i < t->list[k].offset + t->list[k].size; i++) {
            const double r = noise(random);
            rounded[i] = (real)(step ? r * pow(10, -(double)((k + i + step) % 5)) : 1 + r);
            x[i] = (double)rounded[i];
        }
}

/* |x - expected| / |expected - start| */
static double relative_error(const double *x, const double *expected, const double *start, size_t n)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        difference += (x[i] - expected[i]) * (x[i] - expected[i]);
        size += (expected[i] - start[i]) * (expected[i] - start[i]);
    }
    return sqrt(difference / size);
}

/* memory: 10 n zeros, trained: 4 n zeros. Parameters are followed by moments, as in plain_step. */
static double run(double *memory, real *trained, const struct tensors *t, int mistake)
{
    const size_t n = t->total;
    double *exact = memory, *tested = memory + 3 * n, *start = memory + 6 * n, *g = memory + 9 * n;
    real *real_g = trained + 3 * n;
    uint32_t random = 1;
    double largest = 0;
    draw(trained, start, t, 0, &random);
    memcpy(exact, start, n * sizeof *start);
    memcpy(tested, start, n * sizeof *start);
    for (uint64_t step = 1; step <= 5; step++) {
        const double lr = 0.1 / (double)step;
        draw(real_g, g, t, step, &random);
        plain_step(exact, g, t, lr, step, OPTIM_RIGHT);
        if (mistake == OPTIM_RIGHT) {
            const double factor = clip_factor(gradient_norm(real_g, t), max_norm);
            adamw_update(trained, trained + n, trained + 2 * n, real_g, factor, t, &options, lr,
                         step);
            for (size_t i = 0; i < 3 * n; i++)
                tested[i] = (double)trained[i];
        } else
            plain_step(tested, g, t, lr, step, mistake);
        for (size_t i = 0; i < 3 * n; i += n) {
            const double error = relative_error(tested + i, exact + i, start + i, n);
            largest = isnan(largest) || largest >= error ? largest : error; /* a NaN stays */
        }
    }
    return largest;
}

double NAME(optcheck_error)(int mistake)
{
    const struct model_config config = {2, 1, 3, 5, 7, 7, true, GELU_TANH, 0};
    struct tensors *t = tensors_create(&config);
    double *memory = t ? calloc(10 * t->total, sizeof *memory) : NULL;
    real *trained = t ? calloc(4 * t->total, sizeof *trained) : NULL;
    const double error = memory && trained ? run(memory, trained, t, mistake) : -1;
    free(memory);
    free(trained);
    tensors_destroy(t);
    return error;
}
