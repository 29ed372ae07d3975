/* test_gradients.c: checks every backward, and that of the whole model, by the complex step and
 * by central differences; and checks the checker on backwards with errors that simpler checkers
 * miss. */
#include "model/check/gradcheck.h"
#include "model/gpt.h"
#include "tests/batch.h"
#include "tests/test.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* model/softmax.h, in double */
void softmax_backward_f64(double *dx, const double *dp, const double *p, size_t N, size_t C);

struct tally {
    size_t lines, failed;
    char first[512]; /* the first failure */
};

static void count(void *to, const struct gradcheck_line *l)
{
    struct tally *t = to;
    t->lines++;
    if (!l->ok && t->failed++ == 0)
        snprintf(t->first, sizeof t->first, "%s: %s [%s] by %s: error %g, tolerance %g", l->subject,
                 l->tensor, l->sizes, l->method, l->error, l->tolerance);
}

/* Whether large cases must be left out: under valgrind, which is fifty times slower. */
static bool under_valgrind(void)
{
    const char *wrapper = getenv("WRAPPER");
    return wrapper && strstr(wrapper, "valgrind");
}

static void check_op(int op, unsigned methods)
{
    struct tally tally = {0};
    const struct gradcheck g = {.methods = methods,
                                .seed = 20170612,
                                .small_only = under_valgrind(),
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

/* The textbook versions pass the same check: derivatives by both methods, and the contract, which
 * compares the forward of this build with that of the double complex build. The double complex and
 * float builds of these versions exist only with switches for planted mistakes, here all off. */
START_TEST(textbook_versions)
{
    for (int op = 0; op < OPS; op++) {
        struct tally tally = {0};
        const struct gradcheck g = {.methods =
                                        GRADCHECK_COMPLEX | GRADCHECK_CENTRAL | GRADCHECK_CONTRACT,
                                    .seed = 20170612,
                                    .small_only = under_valgrind(),
                                    .report = count,
                                    .to = &tally};
        const struct gradcheck_subject s = {
            .name = op_info[op].name,
            .op = (enum op)op,
            .code = {mistaken_code_f32[op], plain_code_f64[op], mistaken_code_c128[op]}};
        ck_assert_int_eq(gradcheck_op(&g, &s), (int)tally.failed);
        ck_assert_msg(tally.failed == 0, "%s", tally.first);
        ck_assert_uint_gt(tally.lines, 0);
    }
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

/* Correct to three digits in one tensor, as with an inaccurate exponential in the float build. */
static void loss_and_inaccurate_grads(double loss[2], void *model, const struct batch *batch,
                                      const struct dropout *d)
{
    struct gpt *g = model;
    model_code_f32.loss_and_grads(loss, g, batch, d);
    const struct tensor *t = tensors_find(g->tensors, LN_F_WEIGHT, 0);
    for (size_t i = 0; i < t->size; i++)
        g->grads[t->offset + i] *= 1.0005f;
}

static void count_inaccurate(void *to, const struct gradcheck_line *l)
{
    ck_assert_msg(l->ok == (strcmp(l->method, "float") || strcmp(l->tensor, "ln_f.weight")),
                  "%s [%s] by %s: error %g, tolerance %g", l->tensor, l->sizes, l->method, l->error,
                  l->tolerance);
    *(size_t *)to += !l->ok;
}

START_TEST(inaccurate_float_model_is_detected)
{
    size_t detected = 0;
    const struct gradcheck g = {.methods = GRADCHECK_PRECISION,
                                .seed = 20170612,
                                .report = count_inaccurate,
                                .to = &detected};
    struct gradcheck_model m = gradcheck_model_subject();
    m.code[NUMBER_F32].loss_and_grads = loss_and_inaccurate_grads;
    ck_assert_int_eq(gradcheck_model(&g, &m), (int)detected);
    ck_assert_uint_ge(detected, 6);
}
END_TEST

/* Passes a check with an upstream gradient of ones, since the rows of softmax's Jacobian sum to
 * zero. */
static void softmax_backward_empty(double *dx, const double *dp, const double *p, size_t N,
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

/* One element has a relative error of 10^-11. */
static void softmax_backward_inaccurate(double *dx, const double *dp, const double *p, size_t N,
                                        size_t C)
{
    const double before = dx[N * C - 1];
    softmax_backward_f64(dx, dp, p, N, C);
    dx[N * C - 1] += 1e-11 * (dx[N * C - 1] - before);
}

static void softmax_backward_wrong_sign(double *dx, const double *dp, const double *p, size_t N,
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

/* Correct, but changes its input. */
static void softmax_backward_changes_input(double *dx, const double *dp, const double *p, size_t N,
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

START_TEST(each_method_detects_wrong_backwards)
{
    op_function *const wrong[] = {
        (op_function *)softmax_backward_empty, (op_function *)softmax_backward_assigned,
        (op_function *)softmax_backward_nan, (op_function *)softmax_backward_wrong_sign};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_int_gt(failures(GRADCHECK_COMPLEX, wrong[i]), 0);
        ck_assert_int_gt(failures(GRADCHECK_CENTRAL, wrong[i]), 0);
    }
    ck_assert_int_gt(failures(GRADCHECK_COMPLEX, (op_function *)softmax_backward_inaccurate), 0);
    ck_assert_int_gt(failures(GRADCHECK_CONTRACT, (op_function *)softmax_backward_changes_input),
                     0);
    ck_assert_int_eq(failures(GRADCHECK_ALL, (op_function *)softmax_backward_f64), 0);
}
END_TEST

/* Every operation has exactly one output, and cases without biases have no bias tensors. */
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

SUITE("model/gradients", inaccurate_float_model_is_detected, operations_by_complex_step,
      operations_by_central_differences, operations_keep_their_contract, operations_in_float,
      textbook_versions, whole_model, each_method_detects_wrong_backwards, table_of_operations)
