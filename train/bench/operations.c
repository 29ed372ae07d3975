/* operations.c: each operation of a step, timed alone at the sizes it has there, against its bound.
 *
 * An operation that does F floating-point operations in products and must move M bytes takes at
 * least
 *
 *     max(F / peak, M / bandwidth)
 *
 * the roofline (Williams, Waterman and Patterson 2009, doi:10.1145/1498765.1498785). Arrays that
 * are added into count twice in M. Each layer has its own arrays, so an operation is called in turn
 * on as many sets of arrays as there are layers, or as fill UNCACHED bytes; the bandwidth is that
 * of the cache that holds them all.
 */
#include "base/arena.h"
#include "train/bench/trainee.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SETS_MAX = 128, UNCACHED = 1 << 28 };

/* Prints the numbers of a whole step; flops, bytes and bound may be NAN. */
static void print_row(struct bench *b, const char *name, double calls, double seconds, double flops,
                      double bytes, double bound)
{
    const double share = seconds / b->step;
    report_fields(b, "operation", "",
                  FIELDS({"operation", 0, name, "operation, alone", -22, 0},
                         {"times", calls, NULL, "times", 6, 0}, NUMBER("median_s", seconds / calls),
                         {NULL, 1e3 * seconds, NULL, "ms", 10, 3}, NUMBER("step_share", share),
                         {NULL, 100 * share, NULL, "% step", 8, 1}, NUMBER("flops", flops / calls),
                         NUMBER("bytes", bytes / calls),
                         {NULL, flops > 0 ? flops / seconds / 1e9 : NAN, NULL, "GFLOP/s", 9, 1},
                         {NULL, bytes / seconds / 1e9, NULL, "GB/s", 8, 1},
                         {"roofline_share", bound / seconds, NULL, "of bound", 8, 2}));
}

/* flops and bytes: of one call; resident: bytes of all arrays that the calls use. */
static void time_row(struct bench *b, const char *name, double calls, void (*work)(void *),
                     void *context, double flops, double bytes, double resident)
{
    static const double budget = 0.25; /* seconds for one operation */
    const struct machine *m = &b->machine;
    int level = 0;
    while (level + 1 < MEMORY_LEVELS && m->level_bytes[level + 1] <= resident)
        level++;
    const double bound = calls * fmax(flops / m->precision_peak, bytes / m->level_rate[level]),
                 seconds = calls * time_runs(work, context, b->runs, budget).median;
    print_row(b, name, calls, seconds, calls * flops, calls * bytes, bound);
    b->sum += seconds;
    b->bound += bound;
}

struct operation {
    const char *name;
    enum op op;
    size_t calls, C, O; /* calls in a step; C and O of the case */
    double flops;       /* of one call */
};

struct sets {
    const struct op_code *code;
    struct op_case c;
    enum op op;
    bool backward;
    struct arena arena;
    size_t count, next;
    void *x[SETS_MAX][OP_TENSORS_MAX], *dx[SETS_MAX][OP_TENSORS_MAX];
};

static void run_operation(void *sets)
{
    struct sets *s = sets;
    const size_t i = s->next++ % s->count;
    if (s->backward)
        s->code->call_backward(s->code->backward, s->dx[i], s->x[i], &s->c);
    else
        s->code->call_forward(s->code->forward, s->x[i], &s->c);
}

/* A backward reads the gradients of outputs and what the forward left, except the embedding's
 * tables and most outputs, and adds into the gradients of inputs and parameters. */
static double bytes_of_call(const struct sets *s)
{
    const enum op op = s->op;
    const size_t rows = s->c.B * s->c.T * s->c.C;
    double n = 0;
    for (size_t i = 0; i < op_info[op].count; i++) {
        const struct op_tensor *t = &op_info[op].tensors[i];
        const bool output = t->role == ROLE_OUTPUT,
                   reads = op == OP_ATTENTION || (op != OP_EMBEDDING && !output);
        const int accesses = t->role == ROLE_SCRATCH ? 0
                             : !s->backward          ? 1
                             : output                ? reads + 1
                                                     : reads + 2 * op_differentiable(t);
        const size_t size = op_size(t, &s->c);
        /* Of the embedding's tables, only the batch's rows count. */
        n += accesses * (op == OP_EMBEDDING && size > rows ? rows : size);
    }
    return n * sizeof(float);
}

static void lay_out(struct sets *s, size_t set)
{
    for (size_t i = 0; i < op_info[s->op].count; i++) {
        const struct op_tensor *t = &op_info[s->op].tensors[i];
        const size_t n = op_size(t, &s->c);
        const bool gradient = s->backward && (op_differentiable(t) || t->role == ROLE_OUTPUT);
        s->x[set][i] = n ? arena_take(&s->arena, n, sizeof(float)) : NULL;
        s->dx[set][i] = n && gradient ? arena_take(&s->arena, n, sizeof(float)) : NULL;
    }
}

static int allocate(struct sets *s, size_t layers)
{
    lay_out(s, 0);
    const size_t set_size = s->arena.used;
    s->count = 1;
    while (s->count < layers && s->count < SETS_MAX && s->count * set_size <= UNCACHED)
        s->count++;
    arena_take(&s->arena, s->count - 1, set_size);
    if (arena_allocate(&s->arena))
        return -1;
    for (size_t k = 0; k < s->count; k++)
        lay_out(s, k);
    bench_fill((float *)s->arena.base, s->arena.used / sizeof(float));
    return 0;
}

static int time_operation(struct bench *b, const struct operation *o, bool backward,
                          const struct op_case *sizes)
{
    const char *suffix = o->op == OP_LOSS ? ", both" : backward ? " backward" : " forward";
    char name[OP_NAME_MAX];
    struct sets s = {
        .code = &b->precision->ops[o->op], .c = *sizes, .op = o->op, .backward = backward};
    s.c.C = o->C;
    s.c.O = o->O;
    snprintf(name, sizeof name, "%s%s", o->name, suffix);
    if (allocate(&s, o->calls))
        return bench_no_memory(b, name);
    for (size_t k = 0; k < s.count; k++) {
        s.code->call_forward(s.code->forward, s.x[k], &s.c); /* saves what the backward reads */
        if (backward)
            run_operation(&s);
    }
    const double flops = (backward ? 2 : 1) * o->flops, bytes = bytes_of_call(&s);
    time_row(b, name, o->calls, run_operation, &s, flops, bytes, bytes * s.count);
    arena_free(&s.arena);
    return 0;
}

static int time_operations(struct bench *b)
{
    const struct workload *w = b->workload;
    const struct model_config *m = &w->config;
    const size_t L = m->n_layer, C = m->n_embd, Q = model_dim(m, 'Q'), A = model_dim(m, 'A'),
                 F = model_dim(m, 'F');
    const double N = w->B * w->T, V = m->vocab_size, attention = 2 * N * A * (w->T + 1);
    /* The residual has no backward; that of the loss includes the forward: three products. */
    const struct operation list[] = {
        {"embedding", OP_EMBEDDING, 1, C, 0, 0},
        {"layernorm", OP_LAYERNORM, 2 * L + 1, C, 0, 0},
        {"attn.c_attn", OP_LINEAR, L, C, Q, 2 * N * C * Q},
        {"attention", OP_ATTENTION, L, C, 0, attention},
        {"attn.c_proj", OP_LINEAR, L, A, C, 2 * N * A * C},
        {"residual", OP_RESIDUAL, 2 * L, C, 0, 0},
        {"mlp.c_fc", OP_LINEAR, L, C, F, 2 * N * C * F},
        {"gelu", m->gelu == GELU_TANH ? OP_GELU_TANH : OP_GELU_ERF, L, F, 0, 0},
        {"mlp.c_proj", OP_LINEAR, L, F, C, 2 * N * F * C},
        {"logits and loss", OP_LOSS, 1, C, 0, 3 * N * C * V},
    };
    const int count = sizeof list / sizeof *list;
    uint32_t *ids = malloc(w->B * w->T * sizeof *ids);
    int status = ids ? 0 : bench_no_memory(b, "tokens");
    const struct op_case sizes = {.B = w->B,
                                  .T = w->T,
                                  .H = m->n_head,
                                  .V = m->vocab_size,
                                  .P = m->padded_vocab_size,
                                  .bias = m->bias,
                                  .gelu = m->gelu,
                                  .ids = ids,
                                  .targets = ids};
    if (ids)
        bench_fill_ids(ids, w->B * w->T, m->vocab_size);
    for (int i = 0; i < count - 1 && !status; i++)
        status = time_operation(b, &list[i], false, &sizes);
    for (int i = count; i-- > 0 && !status;)
        if (list[i].op != OP_RESIDUAL)
            status = time_operation(b, &list[i], true, &sizes);
    free(ids);
    return status;
}

static int time_optimiser(struct bench *b)
{
    struct trainee trainee;
    if (trainee_create(&trainee, b, 1, 1))
        return -1;
    const double P = trainee.model.tensors->total * sizeof(float);
    time_row(b, "gradients to zero", 1, trainee_zero_grads, &trainee, 0, P, P);
    time_row(b, "gradient norm", 1, trainee_grad_norm, &trainee, 0, P, P);
    /* Reads four arrays and writes three. */
    time_row(b, "AdamW", 1, trainee_update, &trainee, 0, 7 * P, 7 * P);
    trainee_destroy(&trainee);
    return 0;
}

int measure_operations(struct bench *b)
{
    b->sum = b->bound = 0;
    if (time_operations(b) || time_optimiser(b))
        return -1;
    if (!b->json) {
        print_row(b, "all of these", NAN, b->sum, NAN, NAN, b->bound);
        print_row(b, "the rest of a step", NAN, b->step - b->sum, NAN, NAN, NAN);
    }
    return 0;
}
