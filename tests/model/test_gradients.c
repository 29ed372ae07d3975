/* test_gradients.c: every backward, and that of the whole model, by the complex step and by central differences; and the
 * checker itself, on backwards that are wrong in ways that other checkers let pass. */
#include "model/check/gradcheck.h"
#include "model/gpt.h"
#include "tests/batch.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

void softmax_backward_f64(double *dx, const double *dp, const double *p, size_t N,
                          size_t C); /* model/softmax.h, in double */

struct tally {
    size_t lines, failed;
    char first[512]; /* failure */
};

static void count(void *to, const struct gradcheck_line *l)
{
    struct tally *t = to;
    t->lines++;
    if (!l->ok && t->failed++ == 0)
        snprintf(t->first, sizeof t->first, "%s: %s [%s] by %s: error %g, tolerance %g", l->subject,
                 l->tensor, l->sizes, l->method, l->error, l->tolerance);
}

/* Under valgrind, which is fifty times slower, the expensive cases are left out. */
static bool slowly(void)
{
    const char *wrapper = getenv("WRAPPER");
    return wrapper && strstr(wrapper, "valgrind");
}

static void check_op(int op, unsigned methods)
{
    struct tally tally = {0};
    const struct gradcheck g = {.methods = methods,
                                .seed = 20170612,
                                .small_only = slowly(),
                                .report = count,
                                .to = &tally};
    const struct gradcheck_subject s = gradcheck_subject((enum op)op);
    ck_assert_int_eq(gradcheck_op(&g, &s), (int)tally.failed);
    ck_assert_msg(tally.failed == 0, "%s", tally.first);
    ck_assert_uint_gt(tally.lines, 0);
}

START_TEST(operations_by_complex_step)
{
    for (int op = 0; op < OPS; op++)
        check_op(op, GRADCHECK_COMPLEX);
}
END_TEST

START_TEST(operations_by_central_differences)
{
    for (int op = 0; op < OPS; op++)
        check_op(op, GRADCHECK_CENTRAL);
}
END_TEST

START_TEST(operations_keep_their_contract)
{
    for (int op = 0; op < OPS; op++)
        check_op(op, GRADCHECK_CONTRACT);
}
END_TEST

START_TEST(operations_in_float)
{
    for (int op = 0; op < OPS; op++)
        check_op(op, GRADCHECK_PRECISION);
}
END_TEST

START_TEST(whole_model)
{
    struct tally tally = {0};
    const struct gradcheck g = {
        .methods = GRADCHECK_ALL, .seed = 20170612, .report = count, .to = &tally};
    const struct gradcheck_model m = gradcheck_model_subject();
    ck_assert_int_eq(gradcheck_model(&g, &m), 0);
    ck_assert_msg(tally.failed == 0, "%s", tally.first);
    ck_assert_uint_gt(tally.lines, 200);
}
END_TEST

/* --- the checker --- */

/* Right to three digits in one tensor, as a float path with a coarse exponential might be. */
static void loss_and_coarse_grads(double loss[2], void *model, const struct batch *batch,
                                  const struct dropout *d)
{
    struct gpt *g = model;
    model_code_f32.loss_and_grads(loss, g, batch, d);
    const struct tensor *t = tensors_find(g->tensors, LN_F_WEIGHT, 0);
    for (size_t i = 0; i < t->size; i++)
        g->grads[t->offset + i] *= 1.0005f;
}

static void count_coarse(void *to, const struct gradcheck_line *l)
{
    ck_assert_msg(l->ok == (strcmp(l->method, "float") || strcmp(l->tensor, "ln_f.weight")),
                  "%s [%s] by %s: error %g, bar %g", l->tensor, l->sizes, l->method, l->error,
                  l->tolerance);
    *(size_t *)to += !l->ok;
}

START_TEST(a_coarse_float_model_is_seen)
{
    size_t seen = 0;
    const struct gradcheck g = {
        .methods = GRADCHECK_PRECISION, .seed = 20170612, .report = count_coarse, .to = &seen};
    struct gradcheck_model m = gradcheck_model_subject();
    m.code[NUMBER_F32].loss_and_grads = loss_and_coarse_grads;
    ck_assert_int_eq(gradcheck_model(&g, &m), (int)seen);
    ck_assert_uint_ge(seen, 6);
}
END_TEST

/* Passes an upstream gradient of ones: the rows of softmax's Jacobian sum to zero. */
static void softmax_backward_nothing(double *dx, const double *dp, const double *p, size_t N,
                                     size_t C)
{
    (void)dx, (void)dp, (void)p, (void)N, (void)C;
}

static void softmax_backward_assigned(double *dx, const double *dp, const double *p, size_t N,
                                      size_t C)
{
    memset(dx, 0, N * C * sizeof *dx);
    softmax_backward_f64(dx, dp, p, N, C);
}

static void softmax_backward_nan(double *dx, const double *dp, const double *p, size_t N, size_t C)
{
    softmax_backward_f64(dx, dp, p, N, C);
    dx[N * C - 1] = NAN;
}

/* Wrong by one part in 10^11, in one element. */
static void softmax_backward_nearly(double *dx, const double *dp, const double *p, size_t N,
                                    size_t C)
{
    const double before = dx[N * C - 1];
    softmax_backward_f64(dx, dp, p, N, C);
    dx[N * C - 1] += 1e-11 * (dx[N * C - 1] - before);
}

static void softmax_backward_flipped(double *dx, const double *dp, const double *p, size_t N,
                                     size_t C)
{
    for (size_t n = 0; n < N; n++) {
        double dot = 0;
        for (size_t i = n * C; i < (n + 1) * C; i++)
            dot += dp[i] * p[i];
        for (size_t i = n * C; i < (n + 1) * C; i++)
            dx[i] -= p[i] * (dp[i] - dot);
    }
}

/* Right, but writes where it may only read. */
static void softmax_backward_scribbles(double *dx, const double *dp, const double *p, size_t N,
                                       size_t C)
{
    softmax_backward_f64(dx, dp, p, N, C);
    ((double *)p)[0] += 1e-16;
    ((double *)p)[N * C - 1] = 0;
}

static int failures(unsigned methods, op_function *backward)
{
    struct tally tally = {0};
    const struct gradcheck g = {.methods = methods, .seed = 1, .report = count, .to = &tally};
    struct gradcheck_subject s = gradcheck_subject(OP_SOFTMAX);
    s.code[NUMBER_F64].backward = backward;
    const int failed = gradcheck_op(&g, &s);
    ck_assert_int_eq(failed, (int)tally.failed);
    return failed;
}

START_TEST(wrong_backwards_are_seen_by_each_method)
{
    op_function *const wrong[] = {
        (op_function *)softmax_backward_nothing, (op_function *)softmax_backward_assigned,
        (op_function *)softmax_backward_nan, (op_function *)softmax_backward_flipped};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_int_gt(failures(GRADCHECK_COMPLEX, wrong[i]), 0);
        ck_assert_int_gt(failures(GRADCHECK_CENTRAL, wrong[i]), 0);
    }
    ck_assert_int_gt(failures(GRADCHECK_COMPLEX, (op_function *)softmax_backward_nearly), 0);
    ck_assert_int_gt(failures(GRADCHECK_CONTRACT, (op_function *)softmax_backward_scribbles), 0);
    ck_assert_int_eq(failures(GRADCHECK_ALL, (op_function *)softmax_backward_f64), 0);
}
END_TEST

/* Every operation has one output, and cases without biases have none. */
START_TEST(table_of_operations)
{
    for (int op = 0; op < OPS; op++) {
        const struct op_info *info = &op_info[op];
        size_t outputs = 0;
        for (size_t k = 0; k < info->count; k++)
            outputs += info->tensors[k].role == ROLE_OUTPUT;
        ck_assert_uint_eq(outputs, 1);
        ck_assert_int_eq(op_find(op_info[op].name), op);
        for (size_t i = 0; i < info->case_count; i++)
            for (size_t k = 0; k < info->count; k++) {
                const struct op_tensor *t = &info->tensors[k];
                const struct op_case *c = &info->cases[i];
                ck_assert_msg((op_size(t, c) == 0) == (t->is_bias && !c->bias), "%s %s",
                              op_info[op].name, t->name);
            }
    }
    const struct op_case c = {.B = 2, .T = 3, .C = 5, .H = 7};
    const struct op_tensor qkv = {"qkv", ROLE_INPUT, "B T Q", false, false};
    size_t shape[3];
    ck_assert_int_eq(op_shape(shape, &qkv, &c), 3);
    ck_assert_uint_eq(shape[2], 15);
    ck_assert_uint_eq(op_size(&qkv, &c), 90);
    ck_assert_int_eq(op_find("nothing"), OPS);
}
END_TEST

SUITE("model/gradients", a_coarse_float_model_is_seen, operations_by_complex_step,
      operations_by_central_differences, operations_keep_their_contract, operations_in_float,
      whole_model, wrong_backwards_are_seen_by_each_method, table_of_operations)
