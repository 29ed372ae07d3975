/* bench_operations.c: the operations of a step, each timed alone at the sizes it has there, against its own bound.
 *
 * An operation that does F floating-point operations in products and must move M bytes takes at least
 *
 *     max(F / peak, M / bandwidth)         the roofline (Williams, Waterman and Patterson 2009, doi:10.1145/1498765.1498785)
 *
 * Bytes are those of its arrays: what it reads once, what it writes once, what it adds into twice. Bandwidth is that of the cache
 * which holds what the operation walks over. In a step each layer has arrays of its own, so here too an operation goes through as
 * many sets of arrays as there are layers, or as fill FAR bytes.
 */
#include "base/arena.h"
#include "model/loss.h"
#include "train/bench/bench.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETS_MAX = 128 };
static const double far = 0x1p28, budget = 0.25; /* bytes; seconds for one operation */

struct operation {
    const char *name;
    enum op op;
    bool backward;
    size_t times, width, output; /* in a step; C and O of its case */
    double flops;                /* of one; 0 where there is no product */
};

struct sets {
    const struct bench_code *code;
    const struct operation *operation;
    struct op_case c;
    struct arena arena;
    size_t count, next;
    void *x[SETS_MAX][OP_TENSORS_MAX], *dx[SETS_MAX][OP_TENSORS_MAX];
};

static void run_operation(void *context)
{
    struct sets *s = context;
    const struct op_code *code = &s->code->ops[s->operation->op];
    const size_t i = s->next++ % s->count;
    if (s->operation->backward)
        code->call_backward(code->backward, s->dx[i], s->x[i], &s->c);
    else
        code->call_forward(code->forward, s->x[i], &s->c);
}

/* Elements of a tensor that a call touches: of the embedding's tables only the batch's rows. */
static size_t touched(const struct sets *s, const struct op_tensor *t)
{
    const size_t n = op_size(t, &s->c), rows = s->c.B * s->c.T * s->c.C;
    return s->operation->op == OP_EMBEDDING && n > rows ? rows : n;
}

static bool has_gradient(const struct op_tensor *t)
{
    return op_differentiable(t) || t->role == ROLE_OUTPUT;
}

static double bytes_of(const struct sets *s)
{
    const enum op op = s->operation->op;
    double n = 0;
    for (size_t i = 0; i < op_info[op].count; i++) {
        const struct op_tensor *t = &op_info[op].tensors[i];
        const double size = (double)touched(s, t);
        if (t->role == ROLE_SCRATCH)
            continue;
        if (!s->operation->backward) {
            n += size;
            continue;
        }
        const bool value =
            op == OP_EMBEDDING ? false : t->role != ROLE_OUTPUT || op == OP_ATTENTION;
        n += (value ? size : 0) + (t->role == ROLE_OUTPUT ? size
                                   : op_differentiable(t) ? 2 * size
                                                          : 0);
    }
    return n * (double)s->code->element;
}

static void lay_out(struct sets *s)
{
    const struct op_info *info = &op_info[s->operation->op];
    for (size_t k = 0; k < s->count; k++)
        for (size_t i = 0; i < info->count; i++) {
            const size_t n = op_size(&info->tensors[i], &s->c);
            s->x[k][i] = n ? arena_take(&s->arena, n, s->code->element) : NULL;
            s->dx[k][i] = n && s->operation->backward && has_gradient(&info->tensors[i])
                              ? arena_take(&s->arena, n, s->code->element)
                              : NULL;
        }
}

/* As many sets as the step has, or as are out of every cache's reach. */
static int allocate(struct sets *s)
{
    s->count = 1;
    lay_out(s);
    const double one = (double)s->arena.used;
    s->count = s->operation->times;
    while (s->count > 1 && ((double)(s->count - 1) * one > far || s->count > SETS_MAX))
        s->count--;
    s->arena = (struct arena){0};
    lay_out(s);
    if (arena_allocate(&s->arena))
        return -1;
    lay_out(s);
    s->code->fill(s->arena.base, s->arena.used / s->code->element);
    return 0;
}

static int time_operation(struct operations_result *r, const struct bench_job *j,
                          const struct operation *o, const struct op_case *c, struct error *err)
{
    struct sets *s = calloc(1, sizeof *s);
    if (!s)
        return fail(err, "%s: no memory", j->workload->name);
    *s = (struct sets){.code = j->bench->code, .operation = o, .c = *c};
    s->c.C = o->width;
    s->c.O = o->output;
    int status = 0;
    if (allocate(s)) {
        status = fail(err, "%s: no memory for %s alone", j->workload->name, o->name);
    } else {
        const struct op_code *code = &s->code->ops[o->op];
        for (size_t k = 0; k < s->count;
             k++) { /* what a backward needs is saved, and what a first run costs is paid */
            code->call_forward(code->forward, s->x[k], &s->c);
            if (o->backward)
                run_operation(s);
        }
        const double bytes = bytes_of(s), walked = bytes * (double)s->count;
        struct operation_result *result = &r->list[r->count++];
        *result = (struct operation_result){.times = o->times, .flops = o->flops, .bytes = bytes};
        snprintf(result->name, sizeof result->name, "%s", o->name);
        result->time = time_runs(run_operation, s, j->bench->runs, budget).median;
        result->bound = fmax(o->flops / precision_peak(j->bench),
                             bytes / bandwidth_for(&j->bench->machine, walked));
    }
    arena_free(&s->arena);
    free(s);
    return status;
}

/* --- those that belong to the whole model --- */

static void add_whole(struct operations_result *r, const struct bench_job *j, const char *name,
                      void (*work)(void *), void *trainee, double bytes)
{
    struct operation_result *o = &r->list[r->count++];
    *o = (struct operation_result){.times = 1, .bytes = bytes};
    snprintf(o->name, sizeof o->name, "%s", name);
    o->time = time_runs(work, trainee, j->bench->runs, budget).median;
    o->bound = bytes / bandwidth_for(&j->bench->machine, bytes);
}

static int time_optimiser(struct operations_result *r, const struct bench_job *j, struct error *err)
{
    const struct bench_code *code = j->bench->code;
    void *trainee = code->create(&j->workload->config, 1, 1, j->bench->recompute);
    if (!trainee)
        return fail(err, "%s: no memory for its parameters", j->workload->name);
    const double P = (double)code->tensors(trainee)->total * (double)code->element;
    add_whole(r, j, "gradients to zero", code->zero_grads, trainee, P);
    add_whole(r, j, "gradient norm", code->grad_norm, trainee, P);
    add_whole(r, j, "AdamW", code->update, trainee, 7 * P); /* reads four arrays, writes three */
    code->destroy(trainee);
    return 0;
}

static int operations_work(const struct bench_job *j, void *result, struct error *err)
{
    const struct workload *w = j->workload;
    const struct model_config *m = &w->config;
    struct operations_result *r = result;
    *r = (struct operations_result){0};
    const size_t L = m->n_layer, C = m->n_embd, V = m->vocab_size, P = m->padded_vocab_size;
    const double N = (double)(w->B * w->T), c = (double)C, product = 2 * N * c * c,
                 attention = 2 * N * c * (double)(w->T + 1);
    const enum op gelu = m->gelu == GELU_TANH ? OP_GELU_TANH : OP_GELU_ERF;
    const struct operation list[] = {
        {"embedding forward", OP_EMBEDDING, false, 1, C, 0, 0},
        {"layernorm forward", OP_LAYERNORM, false, 2 * L + 1, C, 0, 0},
        {"attn.c_attn forward", OP_LINEAR, false, L, C, 3 * C, 3 * product},
        {"attention forward", OP_ATTENTION, false, L, C, 0, attention},
        {"attn.c_proj forward", OP_LINEAR, false, L, C, C, product},
        {"residual forward", OP_RESIDUAL, false, 2 * L, C, 0, 0},
        {"mlp.c_fc forward", OP_LINEAR, false, L, C, 4 * C, 4 * product},
        {"gelu forward", gelu, false, L, 4 * C, 0, 0},
        {"mlp.c_proj forward", OP_LINEAR, false, L, 4 * C, C, 4 * product},
        {"logits and loss, both", OP_LOSS, true, 1, C, 0, 6 * N * c * (double)V},
        {"mlp.c_proj backward", OP_LINEAR, true, L, 4 * C, C, 8 * product},
        {"gelu backward", gelu, true, L, 4 * C, 0, 0},
        {"mlp.c_fc backward", OP_LINEAR, true, L, C, 4 * C, 8 * product},
        {"attn.c_proj backward", OP_LINEAR, true, L, C, C, 2 * product},
        {"attention backward", OP_ATTENTION, true, L, C, 0, 2 * attention},
        {"attn.c_attn backward", OP_LINEAR, true, L, C, 3 * C, 6 * product},
        {"layernorm backward", OP_LAYERNORM, true, 2 * L + 1, C, 0, 0},
        {"embedding backward", OP_EMBEDDING, true, 1, C, 0, 0},
    };
    uint32_t *ids = malloc(w->B * w->T * sizeof *ids);
    int status = ids ? 0 : fail(err, "%s: no memory for its tokens", w->name);
    for (size_t i = 0; ids && i < w->B * w->T; i++)
        ids[i] = (uint32_t)(i * 2654435761u % V);
    const struct op_case sizes = {.B = w->B,
                                  .T = w->T,
                                  .H = m->n_head,
                                  .V = V,
                                  .P = P,
                                  .bias = m->bias,
                                  .gelu = m->gelu,
                                  .ids = ids,
                                  .targets = ids};
    for (size_t i = 0; i < sizeof list / sizeof *list && !status; i++)
        status = time_operation(r, j, &list[i], &sizes, err);
    free(ids);
    return status ? status : time_optimiser(r, j, err);
}

int measure_operations(const struct bench *b, const struct workload *w, struct operations_result *r,
                       struct error *err)
{
    return bench_child(operations_work, &(struct bench_job){b, w}, "operations", r, sizeof *r, NULL,
                       err);
}
