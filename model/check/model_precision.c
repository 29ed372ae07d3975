/* model_precision.c: loss, logits and every gradient of the whole model in low precision against
 * double, with the bound of precision.c. The parameters are the inputs that are perturbed, and the
 * chain is that of all layers. */
#include "model/check/model_check.h"
#include <stdlib.h>

/* The results of one pass are in one array: the loss, logits (N,V), gradients in the layout of the
 * table. */
enum { LOSS, LOGITS };

/* Nine operations per block as in precision.c, and embedding, last LayerNorm and loss. */
static double chain(const struct model_check *k)
{
    return 9 * k->c->config.n_layer + 3;
}

static size_t logits_count(const struct model_check *k)
{
    return k->c->B * k->c->T * k->c->config.vocab_size;
}

/* Computes the whole batch in one number type, with parameters perturbed by unit. Returns the
 * results, or NULL if memory is short. */
static double *run_pass(struct model_check *k, enum number n, double unit, uint64_t *random)
{
    const struct model_code *code = &k->subject->code[n];
    const struct dropout d = model_dropout(k, 0);
    const size_t count = logits_count(k), total = k->tensors->total;
    void *model = k->model[n], *params = code->params(model), *grads = code->grads(model);
    double loss[2], *x = malloc((LOGITS + count + total) * sizeof *x);
    void *logits = x ? malloc(count * number_size(n)) : NULL;
    if (!logits) {
        free(x);
        return NULL;
    }
    for (size_t i = 0; i < total; i++) {
        number_put(n, params, i, precision_perturb(k->value[i], unit, random), 0);
        number_put(n, grads, i, 0, 0);
    }
    code->logits(model, logits, &k->batch);
    code->loss_and_grads(loss, model, &k->batch, &d);
    x[LOSS] = loss[0];
    for (size_t i = 0; i < count; i++)
        x[LOGITS + i] = number_get(n, logits, i);
    for (size_t i = 0; i < total; i++)
        x[LOGITS + count + i] = number_get(n, grads, i);
    free(logits);
    return x;
}

/* Compares the results [first, first + size) of all passes. */
static void compare(struct model_check *k, const struct gradcheck_precision *p,
                    double *const results[PASSES], const char *name, size_t first, size_t size)
{
    const double *x[PASSES];
    for (size_t i = 0; i < PASSES; i++)
        x[i] = results[i] + first;
    model_report(k, name, precision_line(p, x, size, chain(k)));
}

static int check_one(struct model_check *k, const struct gradcheck_precision *p)
{
    double *x[PASSES] = {0};
    uint64_t random = k->g->seed ^ 0x666C6F61;
    int failed = 0;
    /* The exact pass comes last, so that the parameters are left unchanged. */
    for (size_t i = 0; i < PASSES && !failed; i++) {
        const size_t pass = i == 0 ? PASS_LOW : i < PASSES - 1 ? i + 1 : PASS_EXACT;
        x[pass] = run_pass(k, precision_number(p, pass), precision_unit(p, pass), &random);
        failed = !x[pass];
    }
    if (!failed) {
        const size_t count = logits_count(k);
        compare(k, p, x, "loss", LOSS, 1);
        compare(k, p, x, "logits", LOGITS, count);
        for (size_t t = 0; t < k->tensors->count; t++) {
            const struct tensor *tensor = &k->tensors->list[t];
            compare(k, p, x, tensor->name, LOGITS + count + tensor->offset,
                    tensor_file_size(tensor));
        }
    }
    for (size_t i = 0; i < PASSES; i++)
        free(x[i]);
    return failed ? -1 : 0;
}

int check_model_precision(struct model_check *k)
{
    int failed = 0;
    for (size_t p = 0; p < GRADCHECK_PRECISIONS && !failed; p++)
        failed = check_one(k, &gradcheck_precisions[p]);
    return failed;
}
