/* test_train_diagnose.c: handgrad gradcheck --diagnose through shared objects: right functions, each planted mistake, pairs, an
 * error nobody planted, and code that misbehaves; and the templates, compiled. */
#include "../model/mistakes.h"
#include "../train/gradcheck_report.h"
#include "test.h"
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char folder[64], library[128], output[8192];
static struct error err;

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *format, ...)
{
    char command[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    ck_assert_msg(system(command) == 0, "%s", command);
}

static void setup(void)
{
    strcpy(folder, "/tmp/handgrad-diagnose-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(library, sizeof library, "%s/planted.so", folder);
    run("${CC:-cc} -O1 -std=gnu11 -D_GNU_SOURCE -DREAL_F64 -Iinclude -shared -fPIC tests/diagnose/planted.c model/mistakes.c "
        "model/mistakes_attention.c model/mistakes_compose.c model/mistakes_block.c model/opparts.c model/dropout.c -o %s -lm",
        library);
}

static void teardown(void)
{
    run("rm -r %s", folder);
}

/* The command's exit code; its output and error line are kept. */
static int diagnose_file(enum op op, const char *path)
{
    const struct gradcheck_options o = {.diagnosed = op, .template = OPS, .library = path};
    char file[128];
    snprintf(file, sizeof file, "%s/output", folder);
    err.text[0] = '\0';
    fflush(stdout);
    const int out = dup(1), to = open(file, O_RDWR | O_CREAT | O_TRUNC, 0600);
    dup2(to, 1);
    const int code = gradcheck_diagnose(&o, &err);
    fflush(stdout);
    dup2(out, 1);
    close(out);
    const ssize_t n = pread(to, output, sizeof output - 1, 0);
    output[n > 0 ? n : 0] = '\0';
    close(to);
    return code;
}

static int diagnose_planted(enum op op, unsigned faults, const char *mischief)
{
    char text[32];
    snprintf(text, sizeof text, "%u", faults);
    setenv("HANDGRAD_FAULTS", text, 1);
    setenv("HANDGRAD_MISCHIEF", mischief, 1);
    return diagnose_file(op, library);
}

static void says(const char *text, const char *expected)
{
    ck_assert_msg(strstr(text, expected) != NULL, "'%s' does not say '%s' (error: '%s')", text, expected, err.text);
}

/* Under valgrind, which is fifty times slower, a few stand for all. */
static size_t stride(void)
{
    const char *wrapper = getenv("WRAPPER");
    return wrapper && strstr(wrapper, "valgrind") ? 11 : 1;
}

static void right_functions(void)
{
    for (size_t op = 0; op < OP_BLOCK; op += stride()) {
        ck_assert_msg(diagnose_planted((enum op)op, 0, "") == 0, "%s: %s%s", op_info[op].name, output, err.text);
        says(output, "forward is right");
        says(output, "backward is right");
    }
}

static void each_mistake_is_named(void)
{
    for (size_t i = 0; i < mistakes_count; i += stride()) {
        const struct mistake *m = &mistakes[i];
        if (m->op == OPS || m->op == OP_BLOCK)
            continue;
        char quoted[128];
        snprintf(quoted, sizeof quoted, "matches \"%s\"", m->name);
        ck_assert_msg(diagnose_planted(m->op, m->faults, "") == 1, "%s, %s: %s%s", op_info[m->op].name, m->name, output,
                      err.text);
        says(output, quoted);
    }
}

static void pairs_are_named(void)
{
    ck_assert_int_eq(diagnose_planted(OP_LAYERNORM, LAYERNORM_RSTD_TWICE | LAYERNORM_DGAIN_OF_X, ""), 1);
    says(output, "forward is right");
    says(output, "matches \"dgain from x, not xhat\" and \"rstd applied twice\" together");
    ck_assert_int_eq(diagnose_planted(OP_ATTENTION, ATTENTION_SCALE_DROPPED | ATTENTION_DOT_DROPPED, ""), 1);
    says(output, "matches \"1/sqrt(d) missing in the backward\" and \"softmax's dot term dropped\" together");
}

START_TEST(planted_mistakes)
{
    setup();
    right_functions();
    each_mistake_is_named();
    pairs_are_named();
    teardown();
}
END_TEST

static void unknown_errors_are_located(void)
{
    ck_assert_int_eq(diagnose_planted(OP_LAYERNORM, 0, "unknown"), 1);
    says(output, "matches no known mistake: with B=3 T=5 C=7 it first differs at dx[1][3]: expected ");
    ck_assert_int_eq(diagnose_planted(OP_LAYERNORM, 0, "overrun"), 1);
    says(output, "writes outside of dgain");
    ck_assert_int_eq(diagnose_planted(OP_LAYERNORM, 0, "scribble"), 1);
    says(output, "changes x, which it may only read");
}

START_TEST(unknown_errors_and_misbehaviour)
{
    setup();
    unknown_errors_are_located();
    ck_assert_int_eq(diagnose_planted(OP_LAYERNORM, 0, "crash"), 1);
    says(err.text, "layernorm_backward with B=1 T=1 C=1 crashes: ");
    ck_assert_int_eq(diagnose_planted(OP_LAYERNORM, 0, "exit"), 1);
    says(err.text, "layernorm_backward with B=1 T=1 C=1 ends the program");
    ck_assert_int_eq(diagnose_planted(OP_LAYERNORM, 0, "loop"), 1);
    says(err.text, "layernorm_backward with B=1 T=1 C=1 does not end");
    ck_assert_int_eq(diagnose_file(OP_LAYERNORM, "/nowhere/x.so"), 1);
    says(err.text, "/nowhere/x.so: No such file");
    ck_assert_int_eq(diagnose_file(OP_LAYERNORM, "Makefile"), 1);
    says(err.text, "Makefile");
    ck_assert_int_eq(diagnose_file(OP_BLOCK, library), 1);
    says(err.text, "block: ");
    teardown();
}
END_TEST

/* A template compiles without a warning, its forward is right, and its backward does nothing yet. */
START_TEST(templates_are_a_start)
{
    setup();
    for (int op = 0; op < OP_BLOCK; op++) {
        char source[128], object[128];
        snprintf(source, sizeof source, "%s/%s.c", folder, op_info[op].name);
        snprintf(object, sizeof object, "%s/%s.so", folder, op_info[op].name);
        const struct gradcheck_options o = {.diagnosed = OPS, .template = (enum op)op, .output = source};
        ck_assert_int_eq(gradcheck_write_template(&o, &err), 0);
        ck_assert_int_eq(gradcheck_write_template(&o, &err), 1); /* not over what somebody may have worked on */
        run("${CC:-cc} -O1 -Wall -Wextra -Wno-unused-parameter -Werror -Iinclude -shared -fPIC %s -o %s -lm", source, object);
        ck_assert_int_eq(diagnose_file((enum op)op, object), 1);
        says(output, "forward is right");
        says(output, op == OP_SOFTMAX ? "no gradient at all" : "adds nothing to d");
    }
    teardown();
}
END_TEST

SUITE("train/diagnose", planted_mistakes, unknown_errors_and_misbehaviour, templates_are_a_start)
