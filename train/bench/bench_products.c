/* bench_products.c: the rates of every product backend at the sizes that a model uses. */
#include "base/arena.h"
#include "model/loss.h"
#include "train/bench/bench.h"
#include <stdio.h>
#include <string.h>

static const double budget = 0.15; /* seconds for one product on one backend */

struct product_run {
    const struct bench_code *code;
    enum gemm_backend library;
    const struct bench_shape *shape;
    void *A, *B, *C;
};

static void run_product(void *context)
{
    const struct product_run *p = context;
    p->code->product(p->library, p->shape, p->A, p->B, p->C);
}

/* The three products of y (N,O) = x (N,I) W (I,O); the logits' W is the embedding (V,C), read transposed. */
static void add_linear(struct products_result *r, const char *name, size_t N, size_t I, size_t O,
                       bool embedding)
{
    const struct {
        const char *pass;
        struct bench_shape shape;
    } three[] = {{"forward", {false, embedding, !embedding, N, O, I}},
                 {"dx", {false, !embedding, true, N, I, O}},
                 {"dW", {true, false, true, embedding ? O : I, embedding ? I : O, N}}};
    for (int i = 0; i < 3; i++) {
        struct product_result *p = &r->list[r->count++];
        *p = (struct product_result){.pass = three[i].pass, .shape = three[i].shape};
        snprintf(p->name, sizeof p->name, "%s", name);
    }
}

static void list_products(struct products_result *r, const struct workload *w)
{
    const struct model_config *c = &w->config;
    const size_t N = w->B * w->T, C = c->n_embd, rows = loss_chunk(N, c->padded_vocab_size);
    *r = (struct products_result){0};
    add_linear(r, "attn.c_attn", N, C, 3 * C, false);
    add_linear(r, "attn.c_proj", N, C, C, false);
    add_linear(r, "mlp.c_fc", N, C, 4 * C, false);
    add_linear(r, "mlp.c_proj", N, 4 * C, C, false);
    add_linear(r, "logits", rows, C, c->padded_vocab_size, true);
}

static size_t largest(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Every shape in the same three arrays. */
static int allocate(struct arena *a, void *arrays[3], const struct products_result *r,
                    size_t element)
{
    size_t n[3] = {0};
    for (size_t i = 0; i < r->count; i++) {
        const struct bench_shape *s = &r->list[i].shape;
        n[0] = largest(n[0], s->M * s->K);
        n[1] = largest(n[1], s->K * s->N);
        n[2] = largest(n[2], s->M * s->N);
    }
    for (int pass = 0; pass < 2; pass++) {
        if (pass && arena_allocate(a))
            return -1;
        for (int i = 0; i < 3; i++)
            arrays[i] = arena_take(a, n[i], element);
    }
    return 0;
}

static double product_flops(const struct bench_shape *s)
{
    return 2 * (double)s->M * (double)s->N * (double)s->K;
}

static int products_work(const struct bench_job *j, void *result, struct error *err)
{
    const struct bench_code *code = j->bench->code;
    struct products_result *r = result;
    struct arena arena = {0};
    void *x[3];
    list_products(r, j->workload);
    if (allocate(&arena, x, r, code->element))
        return fail(err, "%s: no memory for its products", j->workload->name);
    code->fill(arena.base, arena.used / code->element);
    for (size_t i = 0; i < r->count; i++) {
        struct product_run p = {
            .code = code, .shape = &r->list[i].shape, .A = x[0], .B = x[1], .C = x[2]};
        for (p.library = 0; p.library < GEMM_BACKENDS; p.library++) {
            if (!gemm_backend_available(p.library, !strcmp(code->precision, "bf16")))
                continue;
            const struct timing t = time_runs(run_product, &p, j->bench->runs, budget);
            r->list[i].rate[p.library] = product_flops(p.shape) / t.median;
        }
    }
    arena_free(&arena);
    return 0;
}

int measure_products(const struct bench *b, const struct workload *w, struct products_result *r,
                     struct error *err)
{
    return bench_child(products_work, &(struct bench_job){b, w}, "products", r, sizeof *r, NULL,
                       err);
}
