/* gradcheck_sweep.c: handgrad gradcheck --sweep: a table, JSON, and a picture. */
#include "train/grade/gradcheck_report.h"
#include "train/grade/sweep.h"
#include "train/json.h"

static void print_json(const struct sweep *s)
{
    for (enum sweep_method m = 0; m < SWEEP_METHODS; m++)
        for (int i = 0; i < SWEEP_STEPS; i++)
            json_print(
                json_add(NULL, FIELDS(TEXT("op", s->op), TEXT("case", s->sizes),
                                      TEXT("method", sweep_names[m]), NUMBER("step", s->step[i]),
                                      NUMBER("error", s->error[m][i]))));
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

static int draw(const struct sweep *s, const char *path, struct error *err)
{
    struct drawing *d = drawing_create(err);
    if (!d)
        return -1;
    sweep_draw(s, d);
    return drawing_save(d, path, err);
}

int gradcheck_print_sweep(const struct gradcheck_options *o, struct error *err)
{
    struct sweep s;
    if (o->output && drawing_check_name(o->output, err))
        return 1;
    if (sweep_run(&s, chosen(o), o->seed))
        return fail(err, "out of memory"), 1;
    (o->json ? print_json : print_table)(&s);
    return o->output && draw(&s, o->output, err) ? 1 : 0;
}
