/* sweep.c: the error of numerical derivatives as a function of the step size.
 *
 * The error of a central difference is h^2 f'''/6 for large h and u |f| / h for small h, where u is
 * the unit roundoff: a V whose minimum of u^(2/3), 1e-5 in float and 1e-10 in double, lies at
 * h ~ u^(1/3). The complex step subtracts nothing, so its error falls with the step until only the
 * rounding of f itself is left.
 */
#include "train/grade/sweep.h"
#include "model/check/harness.h"
#include <stdlib.h>

const char *const sweep_names[SWEEP_METHODS] = {
    "central differences in float", "central differences in double", "complex step in double"};

/* The sum of dy y over all outputs, or of its imaginary part. */
static double output_sum(struct harness *b, enum number n, size_t t, size_t i, double re, double im)
{
    number_put(n, b->x[n][t], i, b->value[t][i] + re, im);
    harness_forward(b, n);
    number_put(n, b->x[n][t], i, b->value[t][i], 0);
    double sum = 0;
    float sum_f32 = 0;
    for (size_t o = 0; o < b->info->count; o++)
        for (size_t k = 0; b->upstream[0][o] && k < b->size[o]; k++) {
            const double dy = b->upstream[0][o][k];
            if (n == NUMBER_F32)
                sum_f32 += (float)dy * ((const float *)b->x[n][o])[k];
            else
                sum += dy * ((const double *)b->x[n][o])[n == NUMBER_C128 ? 2 * k + 1 : k];
        }
    return n == NUMBER_F32 ? sum_f32 : sum;
}

static double derivative(struct harness *b, enum sweep_method method, size_t t, size_t i,
                         double step)
{
    if (method == SWEEP_COMPLEX)
        return output_sum(b, NUMBER_C128, t, i, 0, step) / step;
    const enum number n = method == SWEEP_CENTRAL_F32 ? NUMBER_F32 : NUMBER_F64;
    return (output_sum(b, n, t, i, step, 0) - output_sum(b, n, t, i, -step, 0)) / (2 * step);
}

static void measure(struct sweep *s, struct harness *b, double *const gradient[OP_TENSORS_MAX])
{
    for (int step = 0; step < SWEEP_STEPS; step++) {
        s->step[step] = pow(10, -1 - step / 4.0);
        for (enum sweep_method m = 0; m < SWEEP_METHODS; m++) {
            double difference = 0, size = 0;
            s->coordinates = 0;
            for (size_t t = 0; t < b->info->count; t++)
                for (size_t i = 0; gradient[t] && i < b->size[t]; i++, s->coordinates++) {
                    const double d = derivative(b, m, t, i, s->step[step]) - gradient[t][i];
                    difference += d * d;
                    size += gradient[t][i] * gradient[t][i];
                }
            s->error[m][step] = sqrt(difference / size);
        }
    }
}

/* The first case with several rows and columns. */
static const struct op_case *choose_case(enum op op)
{
    const struct op_info *info = &op_info[op];
    for (size_t i = 0; i < info->case_count; i++)
        if (info->cases[i].C > 2 && info->cases[i].B * info->cases[i].T > 2)
            return &info->cases[i];
    return info->cases;
}

int sweep_run(struct sweep *s, enum op op, uint64_t seed)
{
    struct harness b;
    const struct gradcheck_subject subject = gradcheck_subject(op);
    double *gradient[OP_TENSORS_MAX] = {0};
    void *dx[OP_TENSORS_MAX] = {0};
    s->op = op_info[op].name;
    int failed = harness_create(&b, &subject, choose_case(op), seed);
    for (size_t t = 0; t < b.info->count && !failed; t++) {
        if (b.info->tensors[t].role == ROLE_OUTPUT)
            dx[t] = b.upstream[0][t];
        if (op_differentiable(&b.info->tensors[t]) && b.size[t])
            failed |= !(dx[t] = gradient[t] = calloc(b.size[t], sizeof(double)));
    }
    if (!failed) {
        op_describe(s->sizes, sizeof s->sizes, b.info, &b.c);
        for (enum number n = 0; n < NUMBERS; n++)
            harness_reset(&b, n);
        harness_forward(&b, NUMBER_F64);
        harness_backward(&b, NUMBER_F64, dx);
        measure(s, &b, gradient);
    }
    for (size_t t = 0; t < OP_TENSORS_MAX; t++)
        free(gradient[t]);
    harness_destroy(&b);
    return failed ? -1 : 0;
}
