/* test_diagnose.c: handgrad gradcheck --diagnose through shared objects: right functions, each
 * planted mistake (alone and at every place of a composition), pairs, other errors, and code that
 * misbehaves; and the templates, compiled. */
#include "model/check/mistakes.h"
#include "tests/test.h"
#include "train/grade/gradcheck_report.h"
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char folder[64], library[128], adversary[128], output[8192];
static struct error err;
static bool json;

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *format, ...)
{
    char command[8192];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    ck_assert_msg(system(command) == 0, "%s", command);
}

/* The generated operations under the names that handgrad looks for. */
static void build_planted(void)
{
    const char *build = getenv("build") ? getenv("build") : "build";
    char sources[2048] = "", names[2048] = "";
    for (int op = 0; op < OPS; op++) {
        const char *f = op_info[op].function;
        if (op == OP_GELU_ERF)
            continue;
        snprintf(sources + strlen(sources), sizeof sources - strlen(sources),
                 " %s/generated/mistaken_%s.c", build, f);
        for (int backward = 0; backward < 2; backward++)
            if (op != OP_LAYERNORM || !backward)
                snprintf(names + strlen(names), sizeof names - strlen(names),
                         " -Wl,--defsym=%s_%s=mistaken_%s_%s_f64", f,
                         backward ? "backward" : "forward", f, backward ? "backward" : "forward");
    }
    run("${CC:-cc} -O1 -std=gnu11 -D_GNU_SOURCE -DREAL_F64 -I. -shared -fPIC "
        "tests/diagnose/planted.c %s %s/generated/mistakes.c model/check/mistakes.c "
        "model/check/ops.c model/tensors.c model/dropout.c %s -o %s -lm",
        sources, build, names, library);
}

static void setup(void)
{
    strcpy(folder, "/tmp/handgrad-diagnose-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(library, sizeof library, "%s/planted.so", folder);
    build_planted();
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
    const struct gradcheck_options o = {
        .diagnosed = op, .template = OPS, .library = path, .json = json};
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

/* The operation with one or two mistakes (NULL: none) at places, misbehaving as `mischief` says. */
static int diagnose_planted(enum op op, const struct mistake *first, int first_place,
                            const struct mistake *second, int second_place, const char *mischief)
{
    char text[64];
    int n = snprintf(text, sizeof text, "%d", op);
    if (first)
        n += snprintf(text + n, sizeof text - (size_t)n, " %td:%d", first - mistakes, first_place);
    if (second)
        snprintf(text + n, sizeof text - (size_t)n, " %td:%d", second - mistakes, second_place);
    setenv("HANDGRAD_PLANTED", text, 1);
    setenv("HANDGRAD_MISCHIEF", mischief, 1);
    return diagnose_file(op, library);
}

static int diagnose_mischief(const char *mischief)
{
    return diagnose_planted(OP_LAYERNORM, NULL, 0, NULL, 0, mischief);
}

static const struct mistake *find(enum op op, const char *id)
{
    size_t i = 0;
    while (i < mistakes_count && (mistakes[i].op != op || strcmp(mistakes[i].id, id)))
        i++;
    ck_assert_msg(i < mistakes_count, "no mistake %s of %s", id, op_info[op].name);
    return &mistakes[i];
}

static int find_place(enum op op, const char *name)
{
    struct op_place places[OP_PLACES_MAX];
    const size_t n = op_places(places, op);
    size_t i = 0;
    while (i < n && strcmp(places[i].name, name))
        i++;
    ck_assert_msg(i < n, "no place %s in %s", name, op_info[op].name);
    return (int)i;
}

static void says(const char *text, const char *expected)
{
    ck_assert_msg(strstr(text, expected) != NULL, "'%s' does not say '%s' (error: '%s')", text,
                  expected, err.text);
}

/* Under valgrind, which is fifty times slower, only some are tested. */
static size_t stride(void)
{
    const char *wrapper = getenv("WRAPPER");
    return wrapper && strstr(wrapper, "valgrind") ? 11 : 1;
}

static void right_functions(void)
{
    for (size_t op = 0; op < OPS; op += stride()) {
        ck_assert_msg(diagnose_planted((enum op)op, NULL, 0, NULL, 0, "") == 0, "%s: %s%s",
                      op_info[op].name, output, err.text);
        says(output, "forward is right");
        says(output, "backward is right");
    }
}

static void each_mistake_is_named(void)
{
    for (size_t i = 0; i < mistakes_count; i += stride()) {
        const struct mistake *m = &mistakes[i];
        char quoted[128];
        snprintf(quoted, sizeof quoted, "matches \"%s\"", m->name);
        ck_assert_msg(diagnose_planted(m->op, m, 0, NULL, 0, "") == 1, "%s, %s: %s%s",
                      op_info[m->op].name, m->name, output, err.text);
        says(output, quoted);
    }
}

/* Inside a composition some mistakes have no effect, because what is assigned was cleared just
 * before; others do the same as a mistake with another name. */
static const struct {
    enum op op, inner;
    const char *id, *place, *said; /* place NULL: any */
} same[] = {
    {OP_BLOCK, OP_LINEAR, "dx_assigned", "attn.c_attn", "backward is right"},
    {OP_BLOCK, OP_LINEAR, "dx_assigned", "attn.c_proj", "backward is right"},
    {OP_BLOCK, OP_LINEAR, "dx_assigned", "mlp.c_fc", "backward is right"},
    {OP_BLOCK, OP_LINEAR, "dx_assigned", "mlp.c_proj", "backward is right"},
    {OP_BLOCK, OP_RESIDUAL, "assigned", NULL, "backward is right"},
    {OP_BLOCK, OP_ATTENTION, "assigned", NULL, "backward is right"},
    {OP_BLOCK, OP_LAYERNORM, "dx_assigned", "ln_1", "matches \"skip path around attention lost\""},
    {OP_BLOCK, OP_LAYERNORM, "dx_assigned", "ln_2", "matches \"skip path around the MLP lost\""},
    {OP_BLOCK, OP_RESIDUAL, "mask_forgotten", "attn.residual",
     "matches \"mask forgotten\" in attn.residual.dropout to "},
    {OP_BLOCK, OP_RESIDUAL, "mask_forgotten", "mlp.residual",
     "matches \"mask forgotten\" in mlp.residual.dropout to "},
    {OP_BLOCK, OP_MLP, "gelu_of_act", NULL, "matches \"derivative at y\" in every gelu"},
    {OP_MLP, OP_LINEAR, "dx_assigned", "c_proj", "backward is right"},
    {OP_RESIDUAL, OP_DROPOUT, "ignored", NULL, "matches \"branch's mask forgotten\" to "},
};

static void expected_of_place(char *text, size_t size, enum op op, const struct mistake *m,
                              const char *place)
{
    snprintf(text, size, "matches \"%s\" in %s to ", m->name, place);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (same[i].op == op && same[i].inner == m->op && !strcmp(same[i].id, m->id) &&
            (!same[i].place || !strcmp(same[i].place, place)))
            snprintf(text, size, "%s", same[i].said);
}

static void mistakes_of_parts_are_named(enum op op)
{
    struct op_place places[OP_PLACES_MAX];
    const size_t n = op_places(places, op);
    for (size_t i = 0; i < mistakes_count; i += stride())
        for (size_t place = 1; place < n; place++) {
            const struct mistake *m = &mistakes[i];
            char expected[192];
            if (places[place].op != m->op)
                continue;
            expected_of_place(expected, sizeof expected, op, m, places[place].name);
            diagnose_planted(op, m, (int)place, NULL, 0, "");
            says(output, expected);
        }
}

static void pairs_of_parts_are_named(void)
{
    const struct mistake *mean = find(OP_LAYERNORM, "mean_dropped");
    ck_assert_int_eq(diagnose_planted(OP_BLOCK, mean, find_place(OP_BLOCK, "ln_1"), mean,
                                      find_place(OP_BLOCK, "ln_2"), ""),
                     1);
    says(output, "backward matches \"mean of g dropped\" in every layernorm to ");
    ck_assert_int_eq(diagnose_planted(OP_BLOCK, find(OP_GELU_TANH, "cube"),
                                      find_place(OP_BLOCK, "mlp.gelu_tanh"),
                                      find(OP_ATTENTION, "scale_twice"),
                                      find_place(OP_BLOCK, "attn"), ""),
                     1);
    says(output, "matches \"cube not differentiated\" in mlp.gelu_tanh and \"1/sqrt(d) applied "
                 "twice\" in attn together");
    ck_assert_int_eq(diagnose_planted(OP_BLOCK, find(OP_BLOCK, "mlp_skip_lost"), 0,
                                      find(OP_LINEAR, "bias_averaged"),
                                      find_place(OP_BLOCK, "attn.c_attn"), ""),
                     1);
    says(output, "matches \"skip path around the MLP lost\" and \"bias gradient averaged\" in "
                 "attn.c_attn together");
}

static void pairs_are_named(void)
{
    ck_assert_int_eq(diagnose_planted(OP_LAYERNORM, find(OP_LAYERNORM, "rstd_twice"), 0,
                                      find(OP_LAYERNORM, "dgain_of_x"), 0, ""),
                     1);
    says(output, "forward is right");
    says(output, "matches \"dgain from x, not xhat\" and \"rstd applied twice\" together");
    ck_assert_int_eq(diagnose_planted(OP_ATTENTION, find(OP_ATTENTION, "scale_dropped"), 0,
                                      find(OP_ATTENTION, "dot_dropped"), 0, ""),
                     1);
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
    mistakes_of_parts_are_named(OP_RESIDUAL);
    pairs_of_parts_are_named();
    teardown();
}
END_TEST

/* Each is wrong in a different way, and must be refused with a line that says where. */
static const struct {
    enum op op;
    const char *mischief, *said;
} adversaries[] = {
    {OP_LAYERNORM, "sign", "gives a dgain that is -1 times the right one"},
    {OP_LAYERNORM, "next row", "(wrong in 6 of 8 cases) it first differs at dgain[0]: expected "},
    {OP_LAYERNORM, "beyond", "got nan (memory outside of arrays, "},
    {OP_LAYERNORM, "one NaN",
     "with B=2 T=1 C=3 (wrong in 6 of 8 cases) it first differs at dx[1][2]: expected "},
    {OP_LAYERNORM, "a row beyond", "writes outside of dx"},
    {OP_LAYERNORM, "before", "writes outside of dgain"},
    {OP_LAYERNORM, "one row", "(wrong in 2 of 8 cases) it first differs at dgain[0]"},
    {OP_LAYERNORM, "remainder", "adds nothing to dx, with B=2 T=1 C=3 (wrong in 6 of 8 cases)"},
    {OP_LAYERNORM, "second call",
     "gives another dgain when it is called again with the same arguments"},
    {OP_LAYERNORM, "upstream", "changes dy, which it may only read"},
    {OP_ATTENTION, "last token", "it first differs at dq[0][1][0]: expected "},
    {OP_ATTENTION, "one token",
     "adds nothing to dv, with B=2 T=1 C=6 H=3 (wrong in 2 of 15 cases)"},
    {OP_ATTENTION, "one head",
     "with B=2 T=1 C=6 H=3 (wrong in 8 of 15 cases) it first differs at dv[0][0][2]"},
    {OP_LINEAR, "in float",
     "is something computed in float, or does a constant have too few digits?"},
    {OP_EMBEDDING, "ids", "changes ids or targets"},
    {OP_LOSS, "one row", "adds nothing to dx, with B=1 T=1 C=3 V=5 P=6 (wrong in 1 of 7 cases)"},
    {OP_LAYERNORM, "1/C", "gives a dgain that is 1/C times the right one"},
    {OP_LAYERNORM, "N", "gives a dgain that is N times the right one"},
    {OP_LAYERNORM, "root of C", "gives a dgain that is sqrt(C) times the right one"},
    {OP_LAYERNORM, "constant twice", "gives a dgain that is 2 times the right one"},
    {OP_LOSS, "no losses", "it first differs at losses[0]: expected "},
    {OP_LOSS, "wrong losses", "it first differs at losses[1]: expected "},
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
    static const char *const loading[][2] = {
        {"claims to be right", "loading it ends the program"},
        {"crashes when loaded", "loading it crashes: Aborted"},
        {"loops when loaded", "loading it does not end"},
        {"closes everything and loops", "loading it does not end"}};
    for (size_t i = 0; i < sizeof loading / sizeof *loading; i++) {
        setenv("HANDGRAD_MISCHIEF", loading[i][0], 1);
        ck_assert_int_eq(diagnose_file(OP_LAYERNORM, adversary), 1);
        says(err.text, loading[i][1]);
        ck_assert_str_eq(output, "");
    }
    setenv("HANDGRAD_MISCHIEF", "talk", 1);
    ck_assert_int_eq(diagnose_file(OP_LAYERNORM, adversary), 0);
    ck_assert_msg(!strstr(output, "dx is fine"),
                  "the output of the file is part of the answer: '%s'", output);
    teardown();
}
END_TEST

/* --json prints one object, whatever the code does. */
static const struct {
    enum op op;
    const char *mischief, *verdict, *reason, *backward, *mistake;
    int passed;
} objects[] = {
    {OP_LAYERNORM, "", "right", NULL, "right", NULL, 8},
    {OP_LAYERNORM, "talk", "right", NULL, "right", NULL, 8},
    {OP_LAYERNORM, "1/C", "wrong", NULL, "wrong", NULL, 1},
    {OP_LAYERNORM, "claims to be right", "none", "loading it ends", "not given", NULL, 0},
    {OP_LAYERNORM, "crashes when loaded", "none", "loading it crashes", "not given", NULL, 0},
    {OP_LAYERNORM, "a row beyond", "wrong", NULL, "wrong", NULL, 0},
    {OP_MLP, "", "none", "defines neither mlp_forward nor mlp_backward", "not given", NULL, 0},
};

static const char *string_of(const cJSON *o, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItem(o, name));
}

START_TEST(json_is_one_object)
{
    setup();
    json = true;
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++) {
        const char *end;
        setenv("HANDGRAD_MISCHIEF", objects[i].mischief, 1);
        diagnose_file(objects[i].op, adversary);
        cJSON *o = cJSON_ParseWithOpts(output, &end, false);
        ck_assert_msg(o && !strcmp(end, "\n"), "%s: '%s'", objects[i].mischief, output);
        ck_assert_str_eq(string_of(o, "verdict"), objects[i].verdict);
        if (objects[i].reason)
            says(string_of(o, "reason"), objects[i].reason);
        else
            ck_assert(cJSON_IsNull(cJSON_GetObjectItem(o, "reason")));
        const cJSON *backward = cJSON_GetObjectItem(o, "backward");
        ck_assert_str_eq(string_of(backward, "verdict"), objects[i].backward);
        ck_assert_int_eq(cJSON_GetObjectItem(backward, "passed")->valueint, objects[i].passed);
        if (!strcmp(objects[i].mischief, "talk"))
            says(string_of(o, "printed"), "dx is fine\n");
        cJSON_Delete(o);
    }
    const struct mistake *m = find(OP_ATTENTION, "dot_dropped");
    diagnose_planted(OP_ATTENTION, m, 0, NULL, 0, "");
    cJSON *o = cJSON_Parse(output);
    const cJSON *backward = cJSON_GetObjectItem(o, "backward"),
                *mistakes = cJSON_GetObjectItem(backward, "mistakes"),
                *results = cJSON_GetObjectItem(backward, "results");
    ck_assert_str_eq(string_of(cJSON_GetArrayItem(mistakes, 0), "id"), "dot_dropped");
    ck_assert_str_eq(string_of(backward, "verdict"), "known mistake");
    static const char *const parts[][2] = {{"dq", "wrong"}, {"dk", "wrong"}, {"dv", "right"}};
    for (int i = 0; i < 3; i++) {
        ck_assert_str_eq(string_of(cJSON_GetArrayItem(results, i), "name"), parts[i][0]);
        ck_assert_str_eq(string_of(cJSON_GetArrayItem(results, i), "verdict"), parts[i][1]);
    }
    cJSON_Delete(o);
    teardown();
}
END_TEST

static void unknown_errors_are_located(void)
{
    ck_assert_int_eq(diagnose_mischief("unknown"), 1);
    says(output, "matches no known mistake: with B=3 T=5 C=7 (wrong in 4 of 8 cases) it first "
                 "differs at dx[1][3]: expected ");
    ck_assert_int_eq(diagnose_mischief("overrun"), 1);
    says(output, "writes outside of dgain");
    ck_assert_int_eq(diagnose_mischief("scribble"), 1);
    says(output, "changes x, which it may only read");
}

START_TEST(unknown_errors_and_misbehaviour)
{
    setup();
    unknown_errors_are_located();
    ck_assert_int_eq(diagnose_mischief("crash"), 1);
    says(err.text, "layernorm_backward with B=1 T=1 C=1 crashes: ");
    ck_assert_int_eq(diagnose_mischief("exit"), 1);
    says(err.text, "layernorm_backward with B=1 T=1 C=1 ends the program");
    ck_assert_int_eq(diagnose_mischief("loop"), 1);
    says(err.text, "layernorm_backward with B=1 T=1 C=1 does not end");
    ck_assert_int_eq(diagnose_file(OP_LAYERNORM, "/nowhere/x.so"), 1);
    says(err.text, "/nowhere/x.so: No such file");
    ck_assert_int_eq(diagnose_file(OP_LAYERNORM, "Makefile"), 1);
    says(err.text, "Makefile");
    teardown();
}
END_TEST

/* A template compiles without a warning, its forward is right, and its backward does nothing. */
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
        ck_assert_int_eq(gradcheck_write_template(&o, &err), 1); /* does not overwrite work */
        run("${CC:-cc} -O1 -Wall -Wextra -Wno-unused-parameter -Werror -Iinclude -shared -fPIC %s "
            "-o %s -lm",
            source, object);
        ck_assert_int_eq(diagnose_file((enum op)op, object), 1);
        says(output, "forward is right");
        says(output, op == OP_SOFTMAX ? "no gradient at all"
                     : op == OP_BLOCK
                         ? "\"branch without a gradient\" in every residual" /* dx = dout */
                         : "adds nothing to any gradient");
    }
    teardown();
}
END_TEST

SUITE("train/grade/diagnose", planted_mistakes, mistakes_inside_compositions,
      adversaries_are_refused, json_is_one_object, unknown_errors_and_misbehaviour,
      templates_are_a_start)
