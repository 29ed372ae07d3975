/* model_code.c: see model_code.h. */
#include "model/model_code.h"
#include "model/causal_probe.h"
#include "model/gpt.h"
#include "model/real.h"
#include <stdlib.h>

static void *create(const struct model_config *config, size_t max_rows)
{
    struct gpt *g = malloc(sizeof *g);
    struct tensors *t = g ? tensors_create(config) : NULL;
    if (t && gpt_create(g, t, max_rows, GPT_TRAIN) == 0)
        return g;
    free(g);
    return NULL;
}

static void destroy(void *model)
{
    if (model)
        gpt_destroy(model);
    free(model);
}

static const struct tensors *tensors(const void *model)
{
    return ((const struct gpt *)model)->tensors;
}

static void *params(void *model)
{
    return ((struct gpt *)model)->params;
}

static void *grads(void *model)
{
    return ((struct gpt *)model)->grads;
}

static void logits(void *model, void *out, const struct batch *batch)
{
    gpt_logits(model, out, batch);
}

static void split(double loss[2], acc x)
{
#ifdef REAL_C128
    loss[0] = creal(x);
    loss[1] = cimag(x);
#else
    loss[0] = x;
    loss[1] = 0;
#endif
}

static void loss(double out[2], void *model, const struct batch *batch, const struct dropout *d)
{
    split(out, gpt_loss(model, batch, d));
}

static void loss_and_grads(double out[2], void *model, const struct batch *batch,
                           const struct dropout *d)
{
    split(out, gpt_loss_and_grads(model, batch, d));
}

static int causal_probe(void *model, bool documents, char *message, size_t size)
{
    return gpt_causal_probe(model, documents, message, size);
}

const struct model_code NAME(model_code) = {create, destroy, tensors,        params,      grads,
                                            logits, loss,    loss_and_grads, causal_probe};
