/* adamw_check.c: AdamW's definition, element by element in double, with its mistakes; and the update that trains beside it.
 *
 * The steps are chosen so that every part of the formula shows: gradients of very different sizes (eps counts for some, clipping
 * binds in some steps and not in others), few steps (bias correction), a large decay, and tensors with and without it.
 */
#include "optim/adamw_check.h"
#include "model/real.h"
#include "optim/adamw.h"
#include "optim/clip.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum fault {
    COUPLED_DECAY = 1 << 0,
    NO_BIAS_CORRECTION = 1 << 1,
    EPS_INSIDE = 1 << 2,
    CLIP_PER_TENSOR = 1 << 3,
    DECAY_EVERYTHING = 1 << 4,
    DECAY_WITHOUT_LR = 1 << 5,
    STEP_FROM_ZERO = 1 << 6,
    NO_ROOT = 1 << 7,
    ONE_BETA = 1 << 8,
    CLIP_BY_VALUE = 1 << 9,
};

static const struct optim_mistake list[OPTIM_MISTAKES] = {
    {"coupled decay", "decay added to the gradient, so that Adam divides it by sqrt(v)"},
    {"no bias correction", "the first steps are too small by 1 - beta^t"},
    {"eps inside the root", "sqrt(v + eps): larger where v is small"},
    {"clipping per tensor", "each tensor by its own norm: the direction changes"},
    {"decay on every tensor", "biases and LayerNorm gains shrink too"},
    {"decay without the learning rate", "the schedule no longer scales it"},
    {"steps counted from zero", "1 - beta^0 = 0 in the first correction"},
    {"v without its root", "m / v: the step grows as gradients shrink"},
    {"beta1 for both moments", "v forgets as fast as m"},
    {"clipping by value", "elements are cut, not the norm"},
};

const struct optim_mistake *NAME(optcheck_mistake)(size_t mistake)
{
    return &list[mistake];
}

static double norm(const double *g, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += g[i] * g[i];
    return sqrt(sum);
}

static double whole_norm(const double *g, const struct tensors *t)
{
    double sum = 0;
    for (size_t k = 0; k < t->count; k++)
        sum += pow(norm(g + t->list[k].offset, t->list[k].size), 2);
    return sqrt(sum);
}

/* One element: see adamw.c for the formula. */
static void update_element(double *p, double *m, double *v, double g, const struct adamw *o,
                           double lr, double decay, double t, unsigned faults)
{
    if (faults & COUPLED_DECAY)
        g += decay * *p;
    else
        *p -= (faults & DECAY_WITHOUT_LR ? 1 : lr) * decay * *p;
    const double beta2 = faults & ONE_BETA ? o->beta1 : o->beta2;
    *m = o->beta1 * *m + (1 - o->beta1) * g;
    *v = beta2 * *v + (1 - beta2) * g * g;
    const bool correct = !(faults & NO_BIAS_CORRECTION) && t > 0;
    const double m_hat = correct ? *m / (1 - pow(o->beta1, t)) : *m,
                 v_hat = correct ? *v / (1 - pow(beta2, t)) : *v;
    if (faults & NO_ROOT)
        *p -= lr * m_hat / (v_hat + o->eps);
    else
        *p -= lr * m_hat / (faults & EPS_INSIDE ? sqrt(v_hat + o->eps) : sqrt(v_hat) + o->eps);
}

static void plain_step(double *p, double *m, double *v, const double *g,
                       const struct tensors *tensors, const struct adamw *o, double lr, double clip,
                       uint64_t step, unsigned faults)
{
    const double factor = clip_factor(whole_norm(g, tensors), clip);
    for (size_t k = 0; k < tensors->count; k++) {
        const struct tensor *t = &tensors->list[k];
        const double own =
            faults & CLIP_PER_TENSOR ? clip_factor(norm(g + t->offset, t->size), clip) : factor;
        for (size_t i = t->offset; i < t->offset + t->size; i++) {
            const double clipped =
                faults & CLIP_BY_VALUE ? fmax(-clip, fmin(clip, g[i])) : own * g[i];
            update_element(&p[i], &m[i], &v[i], clipped, o, lr,
                           t->decays || faults & DECAY_EVERYTHING ? o->weight_decay : 0,
                           (double)step - (faults & STEP_FROM_ZERO ? 1 : 0), faults);
        }
    }
}

/* Parameters and moments, of the exact update, of the mistaken one, and of the one that trains. */
struct state {
    double *p, *m, *v, *start, *g;
    double *wrong_p, *wrong_m, *wrong_v;
    real *real_p, *real_m, *real_v, *real_g;
};

static int allocate(struct state *s, size_t n)
{
    double **const doubles[] = {&s->p, &s->m,       &s->v,       &s->start,
                                &s->g, &s->wrong_p, &s->wrong_m, &s->wrong_v};
    real **const reals[] = {&s->real_p, &s->real_m, &s->real_v, &s->real_g};
    int failed = 0;
    for (size_t i = 0; i < sizeof doubles / sizeof *doubles; i++)
        failed |= !(*doubles[i] = calloc(n, sizeof(double)));
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++)
        failed |= !(*reals[i] = calloc(n, sizeof(real)));
    return failed ? -1 : 0;
}

static void release(struct state *s)
{
    void *const all[] = {s->p,       s->m,       s->v,      s->start,  s->g,      s->wrong_p,
                         s->wrong_m, s->wrong_v, s->real_p, s->real_m, s->real_v, s->real_g};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

/* Numbers in (-1, 1) that look random. */
static double noise(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (double)(*state >> 8) * 0x1p-23 - 1;
}

static double error_of(const double *x, const double *expected, const double *from, size_t n)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        const double zero = from ? from[i] : 0;
        difference += (x[i] - expected[i]) * (x[i] - expected[i]);
        size += (expected[i] - zero) * (expected[i] - zero);
    }
    return sqrt(difference / size);
}

static double worst(double a, double b)
{
    return isnan(a) || a >= b ? a : b; /* not a number stays */
}

static double error_of_state(struct state *s, size_t n, bool trains)
{
    for (size_t i = 0; trains && i < n; i++) {
        s->wrong_p[i] = (double)s->real_p[i];
        s->wrong_m[i] = (double)s->real_m[i];
        s->wrong_v[i] = (double)s->real_v[i];
    }
    const double p = error_of(s->wrong_p, s->p, s->start, n);
    const double moments =
        worst(error_of(s->wrong_m, s->m, NULL, n), error_of(s->wrong_v, s->v, NULL, n));
    return worst(p, moments);
}

static double run(struct state *s, const struct tensors *t, int mistake)
{
    enum { STEPS = 5 };
    const struct adamw o = {.beta1 = 0.9, .beta2 = 0.99, .eps = 1e-3, .weight_decay = 0.25};
    uint32_t random = 1;
    double error = 0;
    for (size_t k = 0; k < t->count; k++)
        for (size_t i = t->list[k].offset; i < t->list[k].offset + t->list[k].size; i++)
            s->start[i] = s->p[i] = s->wrong_p[i] =
                (double)(s->real_p[i] = (real)(1 + noise(&random)));
    for (uint64_t step = 1; step <= STEPS; step++) {
        const double lr = 0.1 / (double)step, clip = 0.5;
        for (size_t k = 0; k < t->count; k++)
            for (size_t i = t->list[k].offset; i < t->list[k].offset + t->list[k].size; i++)
                s->g[i] = (double)(s->real_g[i] = (real)(noise(&random) *
                                                         pow(10, -(double)((k + i + step) % 5))));
        plain_step(s->p, s->m, s->v, s->g, t, &o, lr, clip, step, 0);
        if (mistake == OPTIM_RIGHT)
            adamw_update(s->real_p, s->real_m, s->real_v, s->real_g,
                         clip_factor(gradient_norm(s->real_g, t), clip), t, &o, lr, step);
        else
            plain_step(s->wrong_p, s->wrong_m, s->wrong_v, s->g, t, &o, lr, clip, step,
                       1u << mistake);
        error = worst(error, error_of_state(s, t->total, mistake == OPTIM_RIGHT));
    }
    return error;
}

double NAME(optcheck_error)(int mistake)
{
    const struct model_config config = {2, 1, 3, 5, 7, 7, true, GELU_TANH, 0};
    struct tensors *t = tensors_create(&config);
    struct state s = {0};
    double error = -1;
    if (t && !allocate(&s, t->total))
        error = run(&s, t, mistake);
    release(&s);
    tensors_destroy(t);
    return error;
}
