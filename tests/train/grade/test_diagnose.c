/* test_diagnose.c: handgrad gradcheck --diagnose through shared objects: right functions, each planted mistake (alone and in
 * every place of a composition), pairs, errors nobody planted, and code that misbehaves; and the templates, compiled. */
#include "model/check/mistakes.h"
#include "tests/test.h"
#include "train/grade/gradcheck_report.h"
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char folder[64], library[128], adversary[128], output[8192];
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
    run("${CC:-cc} -O1 -std=gnu11 -D_GNU_SOURCE -DREAL_F64 -I. -Iinclude -shared "
        "-fPIC tests/diagnose/planted.c model/check/mistakes.c model/check/mistakes_attention.c "
        "model/check/mistakes_compose.c model/check/mistakes_block.c model/check/op_parts.c "
        "model/dropout.c -o %s -lm",
        library);
    snprintf(adversary, sizeof adversary, "%s/adversary.so", folder);
    run("${CC:-cc} -O1 -std=gnu11 -D_GNU_SOURCE -Iinclude -shared -fPIC tests/diagnose/adversary.c "
        "-o %s -lm",
        adversary);
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
    setenv("HANDGRAD_PART_FAULTS", "", 1);
    setenv("HANDGRAD_MISCHIEF", mischief, 1);
    return diagnose_file(op, library);
}

/* Of a composition whose parts make mistakes: "PART:FAULTS …". */
static int diagnose_parts(enum op op, const char *part_faults)
{
    setenv("HANDGRAD_FAULTS", "", 1);
    setenv("HANDGRAD_PART_FAULTS", part_faults, 1);
    setenv("HANDGRAD_MISCHIEF", "", 1);
    return diagnose_file(op, library);
}

static void says(const char *text, const char *expected)
{
    ck_assert_msg(strstr(text, expected) != NULL, "'%s' does not say '%s' (error: '%s')", text,
                  expected, err.text);
}

/* Under valgrind, which is fifty times slower, a few stand for all. */
static size_t stride(void)
{
    const char *wrapper = getenv("WRAPPER");
    return wrapper && strstr(wrapper, "valgrind") ? 11 : 1;
}

static void right_functions(void)
{
    for (size_t op = 0; op < OPS; op += stride()) {
        ck_assert_msg(diagnose_planted((enum op)op, 0, "") == 0, "%s: %s%s", op_info[op].name,
                      output, err.text);
        says(output, "forward is right");
        says(output, "backward is right");
    }
}

static void each_mistake_is_named(void)
{
    for (size_t i = 0; i < mistakes_count; i += stride()) {
        const struct mistake *m = &mistakes[i];
        if (m->op == OPS)
            continue;
        char quoted[128];
        snprintf(quoted, sizeof quoted, "matches \"%s\"", m->name);
        ck_assert_msg(diagnose_planted(m->op, m->faults, "") == 1, "%s, %s: %s%s",
                      op_info[m->op].name, m->name, output, err.text);
        says(output, quoted);
    }
}

/* Inside a composition some mistakes have no effect, where what is assigned was cleared just before; others are what another
 * name says too. */
static const struct {
    enum op op, inner;
    unsigned faults;
    const char *part, *said;
} same[] = {
    {OP_BLOCK, OP_LINEAR, LINEAR_DX_ASSIGNED, NULL, "backward is right"},
    {OP_BLOCK, OP_RESIDUAL, RESIDUAL_ASSIGNED, NULL, "backward is right"},
    {OP_BLOCK, OP_ATTENTION, ATTENTION_ASSIGNED, NULL, "backward is right"},
    {OP_BLOCK, OP_LAYERNORM, LAYERNORM_DX_ASSIGNED, "ln_1",
     "matches \"skip path around attention lost\""},
    {OP_BLOCK, OP_LAYERNORM, LAYERNORM_DX_ASSIGNED, "ln_2",
     "matches \"skip path around the MLP lost\""},
    {OP_BLOCK, OP_RESIDUAL, RESIDUAL_MASK_FORGOTTEN, NULL,
     "matches \"mask forgotten\" in the residual line after"},
    {OP_BLOCK, OP_MLP, MLP_GELU_OF_ACT, NULL, "matches \"derivative at y\" in every gelu"},
    {OP_MLP, OP_LINEAR, LINEAR_DX_ASSIGNED, "mlp.c_proj", "backward is right"},
};

static void expected_of_part(char *text, size_t size, enum op op, const struct mistake *m,
                             const char *part)
{
    snprintf(text, size, "matches \"%s\" in %s to ", m->name, part);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (same[i].op == op && same[i].inner == m->op && same[i].faults == m->faults &&
            (!same[i].part || !strcmp(same[i].part, part)))
            snprintf(text, size, "%s", same[i].said);
}

static void mistakes_of_parts_are_named(enum op op)
{
    for (size_t i = 0; i < mistakes_count; i += stride())
        for (unsigned part = 0; part < OP_PARTS; part++) {
            const struct mistake *m = &mistakes[i];
            if (!op_has_part(op, part) || op_part_info[part].op != m->op)
                continue;
            char faults[32], expected[192];
            snprintf(faults, sizeof faults, "%u:%u", part, m->faults);
            expected_of_part(expected, sizeof expected, op, m, op_part_info[part].name);
            diagnose_parts(op, faults);
            says(output, expected);
        }
}

static void pairs_of_parts_are_named(void)
{
    char faults[64];
    snprintf(faults, sizeof faults, "%d:%d %d:%d", PART_LN_1, LAYERNORM_MEAN_DROPPED, PART_LN_2,
             LAYERNORM_MEAN_DROPPED);
    ck_assert_int_eq(diagnose_parts(OP_BLOCK, faults), 1);
    says(output, "backward matches \"mean of g dropped\" in every layernorm to ");
    snprintf(faults, sizeof faults, "%d:%d %d:%d", PART_GELU_TANH, GELU_CUBE, PART_ATTENTION,
             ATTENTION_SCALE_TWICE);
    ck_assert_int_eq(diagnose_parts(OP_BLOCK, faults), 1);
    says(output, "matches \"cube not differentiated\" in mlp's gelu_tanh and \"1/sqrt(d) applied "
                 "twice\" in attn together");
    setenv("HANDGRAD_FAULTS", "2", 1);
    snprintf(faults, sizeof faults, "%d:%d", PART_C_ATTN, LINEAR_BIAS_AVERAGED);
    setenv("HANDGRAD_PART_FAULTS", faults, 1);
    ck_assert_int_eq(diagnose_file(OP_BLOCK, library), 1);
    says(output, "matches \"skip path around the MLP lost\" and \"bias gradient averaged\" in "
                 "attn.c_attn together");
}

static void pairs_are_named(void)
{
    ck_assert_int_eq(
        diagnose_planted(OP_LAYERNORM, LAYERNORM_RSTD_TWICE | LAYERNORM_DGAIN_OF_X, ""), 1);
    says(output, "forward is right");
    says(output, "matches \"dgain from x, not xhat\" and \"rstd applied twice\" together");
    ck_assert_int_eq(
        diagnose_planted(OP_ATTENTION, ATTENTION_SCALE_DROPPED | ATTENTION_DOT_DROPPED, ""), 1);
    says(output, "matches \"1/sqrt(d) missing in the backward\" and \"softmax's dot term dropped\" "
                 "together");
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

START_TEST(mistakes_inside_compositions)
{
    setup();
    mistakes_of_parts_are_named(OP_BLOCK);
    mistakes_of_parts_are_named(OP_MLP);
    pairs_of_parts_are_named();
    teardown();
}
END_TEST

/* Each wrong in a way of its own: refused, and with a line that says where. */
static const struct {
    enum op op;
    const char *mischief, *said;
} adversaries[] = {
    {OP_LAYERNORM, "sign", "gives a dgain that is -1 times the right one"},
    {OP_LAYERNORM, "next row", "(wrong in 6 of 8 cases) it first differs at dgain[0]: expected "},
    {OP_LAYERNORM, "beyond", "got nan (what lies outside of an array, "},
    {OP_LAYERNORM, "one NaN",
     "with B=2 T=1 C=3 (wrong in 6 of 8 cases) it first differs at dx[1][2]: expected "},
    {OP_LAYERNORM, "a row beyond", "writes outside of dx"},
    {OP_LAYERNORM, "before", "writes outside of dgain"},
    {OP_LAYERNORM, "one row", "(wrong in 2 of 8 cases) it first differs at dgain[0]"},
    {OP_LAYERNORM, "remainder", "adds nothing to dx, with B=2 T=1 C=3 (wrong in 6 of 8 cases)"},
    {OP_LAYERNORM, "second call",
     "gives another dgain when it is called again with the same arguments"},
    {OP_LAYERNORM, "upstream", "changes dy, which it may only read"},
    {OP_ATTENTION, "last token", "it first differs at dqkv[0][0][15]: expected "},
    {OP_ATTENTION, "one token",
     "adds nothing to dqkv, with B=1 T=1 C=1 H=1 (wrong in 2 of 15 cases)"},
    {OP_ATTENTION, "one head",
     "with B=2 T=1 C=6 H=3 (wrong in 8 of 15 cases) it first differs at dqkv[0][0][14]"},
    {OP_LINEAR, "in float", "only: is something computed in float, or a constant short of digits?"},
    {OP_EMBEDDING, "ids", "changes ids or targets"},
    {OP_LOSS, "one row", "adds nothing to dx, with B=1 T=1 C=3 V=5 P=6 (wrong in 1 of 7 cases)"},
    {OP_LOSS, "padding", "it first differs at dwte[5][0]: expected 0, got "},
};

START_TEST(adversaries_are_refused)
{
    static const enum op written[] = {OP_LAYERNORM, OP_ATTENTION, OP_LINEAR, OP_EMBEDDING, OP_LOSS};
    setup();
    for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
        setenv("HANDGRAD_MISCHIEF", "", 1);
        ck_assert_msg(diagnose_file(written[i], adversary) == 0, "%s%s", output, err.text);
        says(output, "backward is right");
    }
    for (size_t i = 0; i < sizeof adversaries / sizeof *adversaries; i++) {
        setenv("HANDGRAD_MISCHIEF", adversaries[i].mischief, 1);
        ck_assert_msg(diagnose_file(adversaries[i].op, adversary) == 1, "%s: %s",
                      adversaries[i].mischief, output);
        says(output, adversaries[i].said);
    }
    setenv("HANDGRAD_MISCHIEF", "far beyond", 1);
    ck_assert_int_eq(diagnose_file(OP_LAYERNORM, adversary), 1);
    ck_assert_msg(!strstr(err.text, "loading it"), "%s", err.text);
    setenv("HANDGRAD_MISCHIEF", "talk", 1);
    ck_assert_int_eq(diagnose_file(OP_LAYERNORM, adversary), 0);
    ck_assert_msg(!strstr(output, "dx is fine"), "what the file prints is among the answer: '%s'",
                  output);
    teardown();
}
END_TEST

static void unknown_errors_are_located(void)
{
    ck_assert_int_eq(diagnose_planted(OP_LAYERNORM, 0, "unknown"), 1);
    says(output, "matches no known mistake: with B=3 T=5 C=7 (wrong in 4 of 8 cases) it first "
                 "differs at dx[1][3]: expected ");
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
    teardown();
}
END_TEST

/* A template compiles without a warning, its forward is right, and its backward does nothing yet. */
START_TEST(templates_are_a_start)
{
    setup();
    for (int op = 0; op < OPS; op++) {
        char source[128], object[128];
        snprintf(source, sizeof source, "%s/%s.c", folder, op_info[op].name);
        snprintf(object, sizeof object, "%s/%s.so", folder, op_info[op].name);
        const struct gradcheck_options o = {
            .diagnosed = OPS, .template = (enum op)op, .output = source};
        ck_assert_int_eq(gradcheck_write_template(&o, &err), 0);
        ck_assert_int_eq(gradcheck_write_template(&o, &err),
                         1); /* not over what somebody may have worked on */
        run("${CC:-cc} -O1 -Wall -Wextra -Wno-unused-parameter -Werror -Iinclude -shared -fPIC %s "
            "-o %s -lm",
            source, object);
        ck_assert_int_eq(diagnose_file((enum op)op, object), 1);
        says(output, "forward is right");
        says(output, op == OP_SOFTMAX ? "no gradient at all" : "adds nothing to any gradient");
    }
    teardown();
}
END_TEST

SUITE("train/diagnose", planted_mistakes, mistakes_inside_compositions, adversaries_are_refused,
      unknown_errors_and_misbehaviour, templates_are_a_start)
