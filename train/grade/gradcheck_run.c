/* gradcheck_run.c: handgrad gradcheck: checks operations, the model and the optimiser. */
#include "base/clock.h"
#include "optim/adamw_check.h"
#include "train/grade/gradcheck_report.h"

/* The update has no backward. Its two builds are compared with the exact update. */
static int check_optimiser(struct gradcheck_report *report)
{
    struct gradcheck_line lines[] = {{.tensor = "update in double",
                                      .method = "definition",
                                      .error = optcheck_error_f64(OPTIM_RIGHT),
                                      .tolerance = OPTCHECK_TOLERANCE_F64},
                                     {.tensor = "update in float",
                                      .method = "float",
                                      .error = optcheck_error_f32(OPTIM_RIGHT),
                                      .tolerance = OPTCHECK_TOLERANCE_F32}};
    for (struct gradcheck_line *l = lines; l < lines + 2; l++) {
        l->subject = "adamw";
        l->ok = l->error <= l->tolerance && l->error != -1;
        gradcheck_collect(report, l);
        if (l->error == -1)
            return -1;
    }
    return 0;
}

int gradcheck_run(const struct gradcheck_options *o, struct error *err)
{
    struct gradcheck_report report = {.json = o->json};
    const struct gradcheck g = {
        .methods = o->methods, .seed = o->seed, .report = gradcheck_collect, .to = &report};
    const double start = seconds();
    int status = 0;
    if (!o->json)
        gradcheck_print_heading();
    for (int op = 0; op < OPS && status >= 0; op++) {
        if (!o->op[op])
            continue;
        const struct gradcheck_subject s = gradcheck_subject((enum op)op);
        status = gradcheck_op(&g, &s);
        gradcheck_print_rows(&report, s.name);
    }
    if (o->model && status >= 0) {
        const struct gradcheck_model m = gradcheck_model_subject();
        status = gradcheck_model(&g, &m);
        gradcheck_print_rows(&report, m.name);
    }
    if (o->optimiser && status >= 0) {
        status = check_optimiser(&report);
        gradcheck_print_rows(&report, "adamw");
    }
    if (status < 0)
        return fail(err, "out of memory"), 1;
    if (!o->json)
        printf("\n%zu comparisons, %zu failed, in %.1f s. Errors are norm-wise relative. "
               "Tolerances: complex step %.0e\n"
               "(model: %.0e); central differences their own error estimate; float the rounding "
               "error to be expected.\n",
               report.comparisons, report.failed, seconds() - start, GRADCHECK_OP_TOLERANCE,
               GRADCHECK_MODEL_TOLERANCE);
    return report.failed ? 1 : 0;
}
