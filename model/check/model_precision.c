/* model_precision.c: loss, logits and every gradient of the whole model in low precision against double,
 * with the bound of precision.c. The parameters are the inputs that are perturbed, and the chain is that
 * of all layers. */
#include "model/check/model_check.h"
#include <stdlib.h>

/* The results of one pass in one array: the loss, logits (N,V), gradients in the layout of the table. */
struct results {
    double *x;
    size_t logits, total;
};

enum { LOSS, LOGITS };

/* Nine operations per block as in precision.c, and embedding, last LayerNorm and loss. */
static double chain(const struct model_check *k)
{
    return 9 * k->c->config.n_layer + 3;
}

/* Computes the whole batch in one number type, with parameters perturbed by unit. */
static int pass(struct results *r, struct model_check *k, enum number n, double unit,
                uint64_t *random)
{
    const struct model_code *code = &k->subject->code[n];
    const struct dropout d = model_dropout(k, 0);
    void *model = k->model[n], *params = code->params(model), *grads = code->grads(model);
    r->logits = k->c->B * k->c->T * k->c->config.vocab_size;
    r->total = LOGITS + r->logits + k->tensors->total;
    r->x = malloc(r->total * sizeof *r->x);
    void *logits = malloc(r->logits * number_size(n));
    if (r->x && logits) {
        double loss[2];
        for (size_t i = 0; i < k->tensors->total; i++) {
            number_put(n, params, i, precision_perturb(k->value[i], unit, random), 0);
            number_put(n, grads, i, 0, 0);
        }
        code->logits(model, logits, &k->batch);
        code->loss_and_grads(loss, model, &k->batch, &d);
        r->x[LOSS] = loss[0];
        for (size_t i = 0; i < r->logits; i++)
            r->x[LOGITS + i] = number_get(n, logits, i);
        for (size_t i = 0; i < k->tensors->total; i++)
            r->x[LOGITS + r->logits + i] = number_get(n, grads, i);
    }
    const int failed = r->x && logits ? 0 : -1;
    free(logits);
    return failed;
}

struct passes {
    struct results exact, low, perturbed[PRECISION_PERTURBED];
};

/* Compares the results [first, first + size) of all passes. */
static void compare(struct model_check *k, const struct gradcheck_precision *p,
                    const struct passes *all, const char *name, size_t first, size_t size)
{
    struct precision_results r = {
        .exact = all->exact.x + first, .low = all->low.x + first, .size = size};
    for (size_t m = 0; m < PRECISION_PERTURBED; m++)
        r.perturbed[m] = all->perturbed[m].x + first;
    struct gradcheck_line line = precision_line(p, &r, chain(k));
    model_report(k, name, &line);
}

static int check_one(struct model_check *k, const struct gradcheck_precision *p)
{
    struct passes all = {0};
    uint64_t random = k->g->seed ^ 0x666C6F61;
    int failed = pass(&all.low, k, p->number, 0, &random);
    for (size_t m = 0; m < PRECISION_PERTURBED && !failed; m++)
        failed = pass(&all.perturbed[m], k, NUMBER_F64, precision_unit(p, m), &random);
    /* The exact pass comes last, so that the parameters are left unchanged. */
    failed = failed || pass(&all.exact, k, NUMBER_F64, 0, &random);
    if (!failed) {
        compare(k, p, &all, "loss", LOSS, 1);
        compare(k, p, &all, "logits", LOGITS, all.exact.logits);
        for (size_t t = 0; t < k->tensors->count; t++) {
            const struct tensor *tensor = &k->tensors->list[t];
            compare(k, p, &all, tensor->name, LOGITS + all.exact.logits + tensor->offset,
                    tensor_file_size(tensor));
        }
    }
    free(all.exact.x);
    free(all.low.x);
    for (size_t m = 0; m < PRECISION_PERTURBED; m++)
        free(all.perturbed[m].x);
    return failed ? -1 : 0;
}

int check_model_precision(struct model_check *k)
{
    int failed = 0;
    for (size_t p = 0; p < GRADCHECK_PRECISIONS && !failed; p++)
        failed = check_one(k, &gradcheck_precisions[p]);
    return failed;
}
