/* naive.c: the gradient check as it is usually written, for comparison with this one: in float,
 * with differences of one step size, an upstream gradient of ones (the sum of the outputs),
 * gradients that start at zero, and numpy's allclose with tolerances just wide enough for every
 * right backward. */
#include "model/check/gradcheck.h"
#include "model/check/harness.h"
#include <math.h>
#include <stdlib.h>

static const float STEP = 5e-3f;
static const double RELATIVE = 1e-2, ABSOLUTE = 1e-2;

static bool close_enough(double got, double expected)
{
    return fabs(got - expected) <= ABSOLUTE + RELATIVE * fabs(expected);
}

static float sum_of_outputs(struct harness *h)
{
    float sum = 0;
    harness_forward(h, NUMBER_F32);
    for (size_t t = 0; t < h->info->count; t++)
        for (size_t i = 0; h->info->tensors[t].role == ROLE_OUTPUT && i < h->size[t]; i++)
            sum += ((const float *)h->x[NUMBER_F32][t])[i];
    return sum;
}

static float difference(struct harness *h, size_t t, size_t i)
{
    float *x = h->x[NUMBER_F32][t];
    const float value = x[i];
    x[i] = value + STEP;
    const float up = sum_of_outputs(h);
    x[i] = value - STEP;
    const float down = sum_of_outputs(h);
    x[i] = value;
    return (up - down) / (2 * STEP);
}

static int run_backward(struct harness *h, void *dx[OP_TENSORS_MAX])
{
    for (size_t t = 0; t < h->info->count; t++) {
        const enum role role = h->info->tensors[t].role;
        dx[t] = NULL;
        if (h->size[t] == 0 || role == ROLE_SAVED || role == ROLE_SCRATCH)
            continue;
        float *d = dx[t] = malloc(h->size[t] * sizeof *d);
        for (size_t i = 0; d && i < h->size[t]; i++)
            d[i] = role == ROLE_OUTPUT ? 1 : 0;
        if (!d)
            return -1;
    }
    harness_backward(h, NUMBER_F32, dx);
    return 0;
}

static int naive_case(const struct gradcheck_subject *s, const struct op_case *c, uint64_t seed)
{
    struct harness h;
    void *dx[OP_TENSORS_MAX] = {0};
    int failed = harness_create(&h, s, c, seed), seen = 0;
    if (!failed) {
        harness_reset(&h, NUMBER_F32);
        for (size_t t = 0; t < h.info->count; t++) /* scratch is zero, too */
            for (size_t i = 0; h.info->tensors[t].role == ROLE_SCRATCH && i < h.size[t]; i++)
                number_put(NUMBER_F32, h.x[NUMBER_F32][t], i, 0, 0);
        harness_forward(&h, NUMBER_F32);
        failed = run_backward(&h, dx);
    }
    for (size_t t = 0; !failed && t < h.info->count; t++)
        for (size_t i = 0; op_differentiable(&h.info->tensors[t]) && i < h.size[t] && !seen; i++)
            seen = !close_enough(((float *)dx[t])[i], difference(&h, t, i));
    for (size_t t = 0; t < OP_TENSORS_MAX; t++)
        free(dx[t]);
    harness_destroy(&h);
    return failed ? -1 : seen;
}

int gradcheck_naive(const struct gradcheck_subject *s, uint64_t seed)
{
    const struct op_info *info = &op_info[s->op];
    for (size_t i = 0; i < info->case_count; i++) {
        const int seen = info->cases[i].large ? 0 : naive_case(s, &info->cases[i], seed + i);
        if (seen)
            return seen;
    }
    return 0;
}

/* --- the model: one batch, its loss, every parameter --- */

static int check_parameters(const struct model_code *code, void *model, const struct batch *batch,
                            uint64_t seed)
{
    const struct tensors *tensors = code->tensors(model);
    float *params = code->params(model);
    const float *grads = code->grads(model);
    double loss[2], up[2], down[2];
    for (size_t t = 0; t < tensors->count; t++)
        for (size_t i = 0; i < tensor_file_size(&tensors->list[t]); i++)
            params[tensors->list[t].offset + i] =
                (float)(tensors->list[t].init_mean + 0.4 * random_normal(&seed));
    code->loss_and_grads(loss, model, batch, NULL);
    for (size_t t = 0; t < tensors->count; t++)
        for (size_t i = 0; i < tensor_file_size(&tensors->list[t]); i++) {
            float *x = &params[tensors->list[t].offset + i];
            const float value = *x;
            *x = value + STEP;
            code->loss(up, model, batch, NULL);
            *x = value - STEP;
            code->loss(down, model, batch, NULL);
            *x = value;
            if (!close_enough(grads[tensors->list[t].offset + i], (up[0] - down[0]) / (2 * STEP)))
                return 1;
        }
    return 0;
}

int gradcheck_naive_model(const struct gradcheck_model *m, uint64_t seed)
{
    enum { B = 2, T = 5, V = 11 };
    const struct model_config config = {2, 3, 6, 7, V, V, true, GELU_TANH, 0};
    const struct model_code *code = &m->code[NUMBER_F32];
    uint32_t ids[B * T + 1];
    for (size_t i = 0; i < B * T + 1; i++)
        ids[i] = random_bits(&seed) % V;
    const struct batch batch = {
        .inputs = ids, .targets = ids + 1, .weight = 1, .rows = B, .block_size = T};
    void *model = code->create(&config, B * T);
    if (!model)
        return -1;
    const int seen = check_parameters(code, model, &batch, seed);
    code->destroy(model);
    return seen;
}
