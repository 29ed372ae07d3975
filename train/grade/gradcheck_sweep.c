/* gradcheck_sweep.c: handgrad gradcheck --sweep: a table, JSON, and a picture. */
#include "train/grade/gradcheck_report.h"
#include "train/grade/sweep.h"
#include <errno.h>
#include <math.h>
#include <string.h>

static void print_json(const struct sweep *s)
{
    for (enum sweep_method m = 0; m < SWEEP_METHODS; m++)
        for (int i = 0; i < SWEEP_STEPS; i++) {
            printf("{\"op\": \"%s\", \"case\": \"%s\", \"method\": \"%s\", \"step\": %.6g, "
                   "\"error\": ",
                   s->op, s->sizes, sweep_names[m], s->step[i]);
            printf(isfinite(s->error[m][i]) ? "%.6g}\n" : "null}\n", s->error[m][i]);
        }
}

static void print_table(const struct sweep *s)
{
    printf("%s, %s, %zu coordinates: norm-wise relative error\n%8s %14s %14s %14s\n", s->op,
           s->sizes, s->coordinates, "step", "central float", "central double", "complex step");
    for (int i = 0; i < SWEEP_STEPS; i += 4)
        printf("%8.0e %14.1e %14.1e %14.1e\n", s->step[i], s->error[SWEEP_CENTRAL_F32][i],
               s->error[SWEEP_CENTRAL_F64][i], s->error[SWEEP_COMPLEX][i]);
    for (enum sweep_method m = 0; m < SWEEP_METHODS; m++) {
        int best = 0;
        for (int i = 1; i < SWEEP_STEPS; i++)
            if (s->error[m][i] < s->error[m][best])
                best = i;
        printf("best: %-29s %.1e at h = %.1e\n", sweep_names[m], s->error[m][best], s->step[best]);
    }
}

/* The selected operation; layernorm if several are selected. */
static enum op chosen(const struct gradcheck_options *o)
{
    enum op op = 0;
    while (op < OPS && !o->op[op])
        op++;
    return op == OPS || o->op[OP_LAYERNORM] ? OP_LAYERNORM : op;
}

int gradcheck_print_sweep(const struct gradcheck_options *o, struct error *err)
{
    struct sweep s;
    FILE *svg = o->output ? fopen(o->output, "w") : NULL;
    if (o->output && !svg)
        return fail(err, "%s: %s", o->output, strerror(errno)), 1;
    if (sweep_run(&s, chosen(o), o->seed))
        fail(err, "out of memory");
    else if (o->json)
        print_json(&s);
    else
        print_table(&s);
    if (svg && !err->text[0])
        sweep_svg(&s, svg);
    if (svg && (ferror(svg) | fclose(svg)) && !err->text[0])
        fail(err, "%s: %s", o->output, strerror(errno));
    return err->text[0] ? 1 : 0;
}
