/* products.c: the rate of every matrix library at the sizes of a model. */
#include "base/arena.h"
#include "model/loss.h"
#include "train/bench/bench.h"
#include <stdio.h>

struct task {
    const struct bench_precision *precision;
    enum gemm_backend library;
    struct product product;
};

static void run_product(void *task)
{
    const struct task *t = task;
    t->precision->multiply(t->library, &t->product, 1);
}

static struct product dense(bool ta, bool tb, bool adds, size_t M, size_t N, size_t K)
{
    return (struct product){.ta = ta ? T_ : N_,
                            .tb = tb ? T_ : N_,
                            .M = M,
                            .N = N,
                            .K = K,
                            .alpha = 1,
                            .lda = ta ? M : K,
                            .ldb = tb ? K : N,
                            .beta = adds,
                            .ldc = N};
}

static int allocate(struct arena *a, struct product *p)
{
    for (int counted = 0; counted < 2; counted++) {
        if (counted && arena_allocate(a))
            return -1;
        p->A = arena_take(a, p->M * p->K, sizeof *p->A);
        p->B = arena_take(a, p->K * p->N, sizeof *p->B);
        p->C = arena_take(a, p->M * p->N, sizeof *p->C);
    }
    bench_fill((float *)a->base, a->used / sizeof *p->A);
    return 0;
}

/* Prints a row with two columns for each library, or in JSON an object for each. */
static int time_product(struct bench *b, const char *layer, const char *pass, struct product p)
{
    static const double budget = 0.15; /* seconds for one library */
    const double M = p.M, N = p.N, K = p.K;
    struct arena arena = {0};
    char name[32];
    snprintf(name, sizeof name, "%-12s %-7s", layer, pass);
    if (allocate(&arena, &p))
        return bench_no_memory(b, name);
    struct field row[4 + 2 * GEMM_BACKENDS + 1] = {{NULL, 0, name, "product, GFLOP/s", -20, 0},
                                                   {NULL, M, NULL, "M", 7, 0},
                                                   {NULL, N, NULL, "N", 7, 0},
                                                   {NULL, K, NULL, "K", 7, 0}},
                                             *cell = row + 4;
    for (enum gemm_backend k = 0; k < GEMM_BACKENDS; k++) {
        if (!gemm_backend_available(k, b->precision->bf16))
            continue;
        struct task t = {b->precision, k, p};
        const double rate = 2 * M * N * K / time_runs(run_product, &t, b->runs, budget).median,
                     share = rate / b->machine.precision_peak;
        const char *library = gemm_backend_name(k);
        *cell++ = (struct field){NULL, rate / 1e9, NULL, library, 10, 1};
        *cell++ = (struct field){NULL, share, NULL, "of peak", 7, 2};
        if (b->json)
            report_print(report_object(
                b, "product",
                FIELDS(TEXT("product", layer), TEXT("pass", pass), TEXT("library", library),
                       TEXT("precision", b->precision->name), NUMBER("M", M), NUMBER("N", N),
                       NUMBER("K", K), NUMBER("flops_per_s", rate), NUMBER("share", share))));
    }
    report_row(b, "", row);
    arena_free(&arena);
    return 0;
}

int measure_products(struct bench *b)
{
    const struct workload *w = b->workload;
    const struct model_config *c = &w->config;
    const size_t N = w->B * w->T, C = c->n_embd, A = model_dim(c, 'A'), F = model_dim(c, 'F'),
                 V = c->padded_vocab_size;
    /* y (N,O) = x (N,I) W (I,O) + b; tied: the logits x W^T, of which W (O,I) is the embedding. */
    const struct {
        const char *name;
        size_t N, I, O;
        bool tied;
    } layers[] = {{"attn.c_attn", N, C, model_dim(c, 'Q'), false},
                  {"attn.c_proj", N, A, C, false},
                  {"mlp.c_fc", N, C, F, false},
                  {"mlp.c_proj", N, F, C, false},
                  {"logits", loss_chunk(N, V), C, V, true}},
      *l = layers;
    int status = 0;
    for (size_t i = 0; i < sizeof layers / sizeof *layers && !status; i++, l++)
        status = time_product(b, l->name, "forward",
                              dense(false, l->tied, !l->tied, l->N, l->O, l->I)) ||
                 time_product(b, l->name, "dx", dense(false, !l->tied, true, l->N, l->I, l->O)) ||
                 time_product(
                     b, l->name, "dW",
                     dense(true, false, true, l->tied ? l->O : l->I, l->tied ? l->I : l->O, l->N));
    return status;
}
