/* test_oracle.c: the model, its gradients and the optimiser, compared with PyTorch's results
 * for a tiny GPT-2 in float64 (tests/oracle/gpt2-tiny.h5): logits, loss, every gradient, and
 * five steps of clipped AdamW. Built for float and for double. */
#include "model/gpt.h"
#include "optim/adamw.h"
#include "optim/clip.h"
#include "tests/batch.h"
#include "tests/test.h"
#include <hdf5.h>
#include <stdio.h>
#include <string.h>

enum { B = 3, T = 24, V = 67, STEPS = 5 };

/* Norm-wise relative errors: the rounding of sums of a few thousand terms. After training in
 * float the error is larger: Adam divides by the root of v, so tiny gradients, whose relative
 * error is large, move parameters as far as others do. */
#ifdef REAL_F64
#define TOLERANCE       1e-10
#define TOLERANCE_AFTER 1e-9
#else
#define TOLERANCE       1e-4
#define TOLERANCE_AFTER 1e-2
#endif

static hid_t file;
static struct gpt g;
static uint32_t inputs[STEPS][B * T], targets[STEPS][B * T];

static double *read_doubles(const char *name, size_t expected)
{
    hid_t set = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(set);
    ck_assert_msg(set >= 0, "%s is missing", name);
    const size_t n = (size_t)H5Sget_simple_extent_npoints(space);
    ck_assert_uint_eq(n, expected);
    double *x = malloc(n * sizeof *x);
    ck_assert_int_ge(H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, x), 0);
    H5Sclose(space);
    H5Dclose(set);
    return x;
}

static void setup(void)
{
    file = H5Fopen("tests/oracle/gpt2-tiny.h5", H5F_ACC_RDONLY, H5P_DEFAULT);
    ck_assert_int_ge(file, 0);
    const struct model_config c = {.n_layer = 2,
                                   .n_head = 2,
                                   .n_embd = 32,
                                   .block_size = T,
                                   .vocab_size = V,
                                   .padded_vocab_size = V + 5,
                                   .bias = true,
                                   .gelu = GELU_TANH};
    ck_assert_int_eq(gpt_create(&g, tensors_create(&c), B * T, GPT_TRAIN), 0);
    double *ids = read_doubles("ids", STEPS * B * (T + 1));
    for (size_t s = 0; s < STEPS; s++)
        for (size_t b = 0; b < B; b++)
            for (size_t t = 0; t < T; t++) {
                inputs[s][b * T + t] = (uint32_t)ids[(s * B + b) * (T + 1) + t];
                targets[s][b * T + t] = (uint32_t)ids[(s * B + b) * (T + 1) + t + 1];
            }
    free(ids);
    for (size_t k = 0; k < g.tensors->count; k++) {
        char name[64];
        snprintf(name, sizeof name, "params/%s", g.tensors->list[k].name);
        double *p = read_doubles(name, tensor_file_size(&g.tensors->list[k]));
        for (size_t i = 0; i < tensor_file_size(&g.tensors->list[k]); i++)
            g.params[g.tensors->list[k].offset + i] = (real)p[i];
        free(p);
    }
}

/* |x - expected| / |expected| in the Euclidean norm; |x - expected| if all of `expected` is
 * zero. */
static double error_of(const real *x, const double *expected, size_t n)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        difference += (x[i] - expected[i]) * (x[i] - expected[i]);
        size += expected[i] * expected[i];
    }
    return sqrt(difference) / (size > 0 ? sqrt(size) : 1);
}

static void compare(const real *array, const char *group, double tolerance)
{
    for (size_t k = 0; k < g.tensors->count; k++) {
        const struct tensor *t = &g.tensors->list[k];
        const size_t n = tensor_file_size(t);
        char name[64];
        snprintf(name, sizeof name, "%s/%s", group, t->name);
        double *expected = read_doubles(name, n);
        const real *x = array + t->offset;
        double error = 0;
        if (strstr(t->name, "c_attn.bias")) {
            /* A constant added to all keys does not change the softmax, so in exact arithmetic the
             * middle third of the gradient is zero. Adam divides rounding errors by their own size,
             * so after training this third agrees only in double. */
            const size_t C = n / 3;
            const int grads = !strcmp(group, "grads"),
                      comparable = grads || sizeof(real) == sizeof(double);
            for (size_t i = C; comparable && i < 2 * C; i++)
                ck_assert_msg(fabs((double)x[i] - (grads ? 0 : expected[i])) <= tolerance,
                              "%s[%zu] = %g", name, i, (double)x[i]);
            error = fmax(error_of(x, expected, C), error_of(x + 2 * C, expected + 2 * C, C));
        } else {
            error = error_of(x, expected, n);
        }
        ck_assert_msg(error <= tolerance, "%s: error %g, tolerance %g", name, error, tolerance);
        free(expected);
    }
}

START_TEST(logits_loss_and_gradients)
{
    setup();
    real *logits = malloc(B * T * V * sizeof *logits);
    gpt_logits(&g, logits, BATCH(inputs[0], NULL, B, T, 1));
    double *expected = read_doubles("logits", B * T * V), *loss = read_doubles("loss", 1);
    ck_assert_double_le(error_of(logits, expected, B * T * V), TOLERANCE);
    ck_assert_double_le(
        fabs(gpt_loss(&g, BATCH(inputs[0], targets[0], B, T, 1), NULL) - *loss) / *loss, TOLERANCE);
    ck_assert_double_le(
        fabs(gpt_loss_and_grads(&g, BATCH(inputs[0], targets[0], B, T, 1), NULL) - *loss) / *loss,
        TOLERANCE);
    compare(g.grads, "grads", TOLERANCE);
    const struct tensor *wte = tensors_find(g.tensors, WTE, 0);
    for (size_t i = tensor_file_size(wte); i < wte->size; i++)
        ck_assert_msg(g.grads[wte->offset + i] == 0,
                      "the gradient of the padding of wte is not zero");
    free(logits);
    free(expected);
    free(loss);
}
END_TEST

START_TEST(five_clipped_adamw_steps)
{
    setup();
    const struct adamw o = {.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1};
    double *losses = read_doubles("losses", STEPS), *norms = read_doubles("grad_norms", STEPS);
    real *m = calloc(g.tensors->total, sizeof *m), *v = calloc(g.tensors->total, sizeof *v);
    for (size_t s = 0; s < STEPS; s++) {
        memset(g.grads, 0, g.tensors->total * sizeof *g.grads);
        const double loss = gpt_loss_and_grads(&g, BATCH(inputs[s], targets[s], B, T, 1), NULL),
                     norm = gradient_norm(g.grads, g.tensors);
        ck_assert_double_le(fabs(loss - losses[s]) / losses[s], s ? TOLERANCE_AFTER : TOLERANCE);
        ck_assert_double_le(fabs(norm - norms[s]) / norms[s], s ? TOLERANCE_AFTER : TOLERANCE);
        adamw_update(g.params, m, v, g.grads, clip_factor(norm, 1.0), g.tensors, &o, 1e-2, s + 1);
    }
    compare(g.params, "after", TOLERANCE_AFTER);
    free(losses);
    free(norms);
    free(m);
    free(v);
}
END_TEST

SUITE_FLOAT_DOUBLE("model/oracle", logits_loss_and_gradients, five_clipped_adamw_steps)
