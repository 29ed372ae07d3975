/* model_check.c: the whole model: the loss of a batch against every parameter tensor.
 *
 * One complex forward along a direction v of a tensor gives the derivative of the loss along v,
 * which the tensor's gradient must match. Small tensors are also checked in every coordinate. The
 * gradient is accumulated over micro-batches, into an array that already holds random numbers, and
 * compared with the loss of the whole batch. Padding of the vocabulary and the gaps between tensors
 * must not change.
 */
#include "model/check/model_check.h"
#include <float.h>
#include <stdio.h>
#include <stdlib.h>

/* All sizes differ; T lies below, at and above attention's triangles of 16; one head, several
 * heads, as many as C; every option. */
static const struct model_case cases[] = {
    {{3, 2, 4, 5, 13, 16, true, GELU_TANH, 0.2}, 4, 3, 2, 0},
    {{2, 3, 6, 7, 11, 13, true, GELU_TANH, 0}, 2, 5, 1, 0},
    {{2, 2, 4, 6, 7, 7, false, GELU_ERF, 0}, 3, 6, 1, 0},
    {{1, 1, 3, 1, 5, 8, true, GELU_ERF, 0}, 1, 1, 1, 0},
    {{1, 5, 5, 19, 17, 19, false, GELU_TANH, 0.3}, 3, 17, 3, 0},
    {{2, 1, 7, 16, 3, 4, true, GELU_ERF, 0.1}, 2, 16, 1, 0},
    {{2, 2, 4, 9, 7, 8, true, GELU_TANH, 0.2}, 4, 9, 2, 4},
};

enum { DIRECTIONS = 4, ALL_COORDINATES = 600, ALL_CENTRAL = 60, SOME_COORDINATES = 16 };

/* The standard deviation of what the gradients hold before: gradients of a mean are small. */
static const double BEFORE = 1.0 / 64;

/* Smaller than for an operation: a step larger than the embeddings themselves would leave the
 * radius of convergence at a LayerNorm. */
static const double FIRST_STEP = 1.0 / 32;

static const double LOSS_ROUNDING = 8 * DBL_EPSILON;

struct dropout model_dropout(const struct model_check *k, size_t first_row)
{
    return (struct dropout){k->c->config.dropout, OP_DROPOUT_SEED, OP_DROPOUT_STEP, first_row};
}

void model_report(struct model_check *k, const char *tensor, struct gradcheck_line line)
{
    const struct model_case *c = k->c;
    const size_t size = sizeof line.sizes;
    snprintf(line.tensor, sizeof line.tensor, "%s", tensor);
    line.subject = k->subject->name;
    int n = snprintf(line.sizes, size, "L=%zu H=%zu C=%zu B=%zu T=%zu V=%zu P=%zu %s%s",
                     c->config.n_layer, c->config.n_head, c->config.n_embd, c->B, c->T,
                     c->config.vocab_size, c->config.padded_vocab_size,
                     c->config.gelu == GELU_ERF ? "erf" : "tanh", c->config.bias ? "" : " no bias");
    if (c->config.dropout > 0)
        n += snprintf(line.sizes + n, size - n, " p=%g", c->config.dropout);
    if (c->accumulate > 1)
        n += snprintf(line.sizes + n, size - n, " accumulate=%zu", c->accumulate);
    if (c->document)
        snprintf(line.sizes + n, size - n, " document=%zu", c->document);
    line.ok = line.error <= line.tolerance;
    k->failed += !line.ok;
    if (k->g->report)
        k->g->report(k->g->to, &line);
}

/* The loss of the whole batch, with tensor t moved by (re + i im) along coordinate `at`, or along
 * the direction if at is SIZE_MAX. */
static void loss_at(double out[2], struct model_check *k, enum number n, const struct tensor *t,
                    size_t at, double re, double im)
{
    void *params = k->subject->code[n].params(k->model[n]);
    const double *value = k->value + t->offset;
    const size_t first = at == SIZE_MAX ? 0 : at,
                 end = at == SIZE_MAX ? tensor_file_size(t) : at + 1;
    const struct dropout d = model_dropout(k, 0);
    for (size_t i = first; i < end; i++) {
        const double v = at == SIZE_MAX ? k->direction[i] : 1;
        number_put(n, params, t->offset + i, value[i] + re * v, im * v);
    }
    k->subject->code[n].loss(out, k->model[n], &k->batch, &d);
    for (size_t i = first; i < end; i++)
        number_put(n, params, t->offset + i, value[i], 0);
}

static double complex_step(struct model_check *k, const struct tensor *t, size_t at)
{
    double loss[2];
    loss_at(loss, k, NUMBER_C128, t, at, 0, COMPLEX_STEP);
    return loss[1] / COMPLEX_STEP;
}

static double central_difference(double *error, struct model_check *k, const struct tensor *t,
                                 size_t at)
{
    struct tableau tableau = {0};
    for (double step = FIRST_STEP; !tableau_done(&tableau); step /= 2) {
        double up[2], down[2];
        loss_at(up, k, NUMBER_F64, t, at, step, 0);
        loss_at(down, k, NUMBER_F64, t, at, -step, 0);
        tableau_add(&tableau, (up[0] - down[0]) / (2 * step),
                    LOSS_ROUNDING * fabs(up[0]) / (2 * step));
    }
    *error = tableau.error;
    return tableau.value;
}

static void compare(struct model_check *k, struct comparison *sums, const struct tensor *t,
                    size_t at)
{
    const double *gradient = k->gradient + t->offset;
    double error = 0, got = at == SIZE_MAX ? 0 : gradient[at];
    const double expected = sums->method == GRADCHECK_COMPLEX
                                ? complex_step(k, t, at)
                                : central_difference(&error, k, t, at);
    for (size_t i = 0; at == SIZE_MAX && i < tensor_file_size(t); i++)
        got += gradient[i] * k->direction[i];
    comparison_add(sums, at, got, expected, error, 0);
}

static void check_tensor(struct model_check *k, const struct tensor *t, unsigned method)
{
    const struct comparison_bounds bounds = {
        .tolerance = GRADCHECK_MODEL_TOLERANCE,
        .central_rounding = 256 * DBL_EPSILON, /* sums are longer than in an operation */
        .sum_rounding = k->c->accumulate * 2 * DBL_EPSILON * BEFORE};
    const size_t n = tensor_file_size(t);
    const bool all = n <= (method == GRADCHECK_COMPLEX ? ALL_COORDINATES : ALL_CENTRAL);
    uint64_t random = k->g->seed ^ t->offset;
    double whole = 0;
    struct comparison sums = {.method = method, .at = SIZE_MAX};
    for (size_t i = 0; i < DIRECTIONS; i++) {
        random_direction(k->direction, n, &random);
        compare(k, &sums, t, SIZE_MAX);
    }
    for (size_t i = 0; i < (all ? n : SOME_COORDINATES); i++)
        compare(k, &sums, t, all ? i : random_bits(&random) % n);
    for (size_t i = 0; i < n; i++)
        whole += k->gradient[t->offset + i] * k->gradient[t->offset + i];
    struct gradcheck_line line = comparison_line(&sums, n, sums.compared, whole, &bounds);
    gradcheck_where(line.where, sizeof line.where, line.at, t->shape, t->ndim);
    model_report(k, t->name, line);
}

/* --- the gradient --- */

static size_t count_targets(const struct model_check *k, size_t first, size_t rows)
{
    size_t n = 0;
    for (size_t i = first * k->c->T; i < (first + rows) * k->c->T; i++)
        n += k->targets[i] != NO_TARGET;
    return n;
}

/* Accumulates the gradient over micro-batches, each weighted by its share of the targets. */
static void accumulate(struct model_check *k)
{
    const struct model_code *code = &k->subject->code[NUMBER_F64];
    void *model = k->model[NUMBER_F64], *grads = code->grads(model);
    const size_t rows = k->c->B / k->c->accumulate, T = k->c->T;
    uint64_t random = k->g->seed ^ 0x6261636B;
    for (size_t i = 0; i < k->tensors->total; i++) {
        k->before[i] = random_normal(&random) * BEFORE;
        number_put(NUMBER_F64, grads, i, k->before[i], 0);
    }
    for (size_t b = 0; b < k->c->B; b += rows) {
        const struct dropout d = model_dropout(k, b);
        const struct batch batch = {.inputs = k->ids + b * T,
                                    .targets = k->targets + b * T,
                                    .start = k->start ? k->start + b * T : NULL,
                                    .weight = (double)count_targets(k, b, rows) /
                                              (double)count_targets(k, 0, k->c->B),
                                    .rows = rows,
                                    .block_size = T};
        double loss[2];
        code->loss_and_grads(loss, model, &batch, &d);
    }
    for (size_t i = 0; i < k->tensors->total; i++)
        k->gradient[i] = number_get(NUMBER_F64, grads, i) - k->before[i];
}

/* Checks that nothing was added between the elements of tensors. */
static void check_padding(struct model_check *k)
{
    size_t next = 0, touched = 0, checked = 0;
    for (size_t i = 0; i <= k->tensors->count; i++) {
        const struct tensor *t = i < k->tensors->count ? &k->tensors->list[i] : NULL;
        for (const size_t end = t ? t->offset : k->tensors->total; next < end; next++, checked++)
            touched += k->gradient[next] != 0;
        next = t ? t->offset + tensor_file_size(t) : next;
    }
    model_report(k, "padding", whole_line("unchanged", checked, touched, 0));
}

static int create(struct model_check *k)
{
    const size_t N = k->c->B * k->c->T;
    for (enum number n = 0; n < NUMBERS; n++)
        if (!(k->model[n] = k->subject->code[n].create(&k->c->config, N)))
            return -1;
    k->tensors = k->subject->code[NUMBER_F64].tensors(k->model[NUMBER_F64]);
    const size_t total = k->tensors->total;
    k->ids = malloc(2 * N * sizeof *k->ids);
    k->value = calloc(4 * total, sizeof *k->value);
    if (!k->ids || !k->value)
        return -1;
    k->targets = k->ids + N;
    k->before = k->value + total;
    k->gradient = k->before + total;
    k->direction = k->gradient + total;
    return 0;
}

static void destroy(struct model_check *k)
{
    for (enum number n = 0; n < NUMBERS; n++)
        k->subject->code[n].destroy(k->model[n]);
    free(k->ids);
    free(k->start);
    free(k->value);
}

/* Draws a batch, and weights as large as those of a trained model: with initial weights much of the
 * network is nearly linear. */
static int draw(struct model_check *k)
{
    const struct model_case *c = k->c;
    uint64_t random = k->g->seed;
    for (size_t i = 0; i < c->B * c->T; i++) {
        k->ids[i] = random_bits(&random) % c->config.vocab_size;
        k->targets[i] = random_bits(&random) % c->config.vocab_size;
    }
    if (c->document && !(k->start = draw_documents(c->B, c->T, c->document, k->targets, &random)))
        return -1;
    k->batch = (struct batch){.inputs = k->ids,
                              .targets = k->targets,
                              .start = k->start,
                              .weight = 1,
                              .rows = c->B,
                              .block_size = c->T};
    for (size_t t = 0; t < k->tensors->count; t++)
        for (size_t i = 0; i < tensor_file_size(&k->tensors->list[t]); i++)
            k->value[k->tensors->list[t].offset + i] =
                (float)(k->tensors->list[t].init_mean + 0.4 * random_normal(&random));
    for (enum number n = 0; n < NUMBERS; n++)
        for (size_t i = 0; i < k->tensors->total; i++)
            number_put(n, k->subject->code[n].params(k->model[n]), i, k->value[i], 0);
    return 0;
}

static int check_case(const struct gradcheck *g, const void *subject, size_t i)
{
    struct model_check k = {.g = g, .subject = subject, .c = &cases[i]};
    int failed = create(&k) || draw(&k);
    if (!failed) {
        accumulate(&k);
        if (g->methods & GRADCHECK_CONTRACT)
            check_padding(&k);
        if (g->methods & GRADCHECK_PRECISION)
            failed = check_model_precision(&k);
        for (unsigned method = GRADCHECK_COMPLEX; method <= GRADCHECK_CENTRAL; method *= 2)
            for (size_t t = 0; t < k.tensors->count && g->methods & method && !failed &&
                               !(g->first_only && k.failed);
                 t++)
                check_tensor(&k, &k.tensors->list[t], method);
    }
    destroy(&k);
    return failed ? -1 : k.failed;
}

struct gradcheck_model gradcheck_model_subject(void)
{
    return (struct gradcheck_model){
        "model", {model_code_f32, model_code_f64, model_code_c128, model_code_bf16}};
}

int gradcheck_model(const struct gradcheck *g, const struct gradcheck_model *m)
{
    return gradcheck_cases(g, sizeof cases / sizeof *cases, check_case, m);
}
