/* model_code.c: the whole model for the checker, which knows no number type: see optable.h. */
#include "model/check/op_code.h"
#include "model/gpt.h"
#include "model/real.h"
#include <stdlib.h>

static void *create(const struct model_config *config, size_t max_rows)
{
    struct gpt *g = malloc(sizeof *g);
    struct tensors *t = tensors_create(config);
    if (!g || !t || gpt_create(g, t, max_rows, GPT_TRAIN)) {
        if (!g)
            tensors_destroy(t);
        free(g);
        return NULL;
    }
    return g;
}

static void destroy(void *model)
{
    if (!model)
        return;
    gpt_destroy(model);
    free(model);
}

static const struct tensors *tensors_of(void *model)
{
    return ((struct gpt *)model)->tensors;
}

static void *params(void *model)
{
    return ((struct gpt *)model)->params;
}

static void *grads(void *model)
{
    return ((struct gpt *)model)->grads;
}

static void documents(void *model, const uint32_t *start)
{
    ((struct gpt *)model)->start = start;
}

static void logits(void *out, void *model, const uint32_t *ids, size_t B, size_t T)
{
    gpt_logits(model, out, ids, B, T);
}

static void put(double out[2], acc loss)
{
#ifdef REAL_C128
    out[0] = creal(loss);
    out[1] = cimag(loss);
#else
    out[0] = loss;
    out[1] = 0;
#endif
}

static void loss(double out[2], void *model, const uint32_t *ids, const uint32_t *targets, size_t B,
                 size_t T, const struct dropout *d)
{
    put(out, gpt_loss(model, ids, targets, B, T, d));
}

static void call_loss_and_grads(op_function *f, double out[2], void *model, const uint32_t *ids,
                                const uint32_t *targets, size_t B, size_t T, double scale,
                                const struct dropout *d)
{
    put(out, ((typeof(gpt_loss_and_grads) *)f)(model, ids, targets, B, T, scale, d));
}

const struct model_code NAME(model_code) = {create,
                                            destroy,
                                            tensors_of,
                                            params,
                                            grads,
                                            documents,
                                            logits,
                                            loss,
                                            (op_function *)gpt_loss_and_grads,
                                            call_loss_and_grads};
