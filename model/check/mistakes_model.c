/* mistakes_model.c: whole models that are put together wrongly: see mistakes.h. Each function takes
 * the place of loss_and_grads and gets one thing wrong. */
#include "model/check/mistakes.h"
#include "model/embedding.h"
#include "model/gpt.h"
#include "model/real.h"
#include "model/zero.h"
#include <stdlib.h>
#include <string.h>

#define MODEL(name)                                                                                \
    static void name(double loss[2], void *model, const struct batch *batch,                       \
                     const struct dropout *d)

static size_t tokens(const struct batch *b)
{
    return b->rows * b->block_size;
}

/* The right function, with the batch weighted by a factor. */
static void weighted(double loss[2], void *model, const struct batch *batch,
                     const struct dropout *d, double factor)
{
    struct batch b = *batch;
    b.weight *= factor;
    NAME(model_code).loss_and_grads(loss, model, &b, d);
}

MODEL(sum)
{
    weighted(loss, model, batch, d, tokens(batch));
}

MODEL(divided_twice)
{
    weighted(loss, model, batch, d, 1.0 / tokens(batch));
}

MODEL(targets_shifted)
{
    const size_t N = tokens(batch);
    uint32_t shifted[N];
    struct batch b = *batch;
    for (size_t n = 0; n < N; n++)
        shifted[n] = n + 1 < N ? batch->targets[n + 1] : batch->inputs[0];
    b.targets = shifted;
    weighted(loss, model, &b, d, 1);
}

/* The gradient with only one of the two terms of wte: that of the embedding, or of the output
 * layer. */
static void half_tied(double loss[2], struct gpt *g, const struct batch *batch,
                      const struct dropout *d, bool embedding)
{
    const struct tensor *t = tensors_find(g->tensors, WTE, 0);
    const size_t bytes = t->size * sizeof(real);
    real *wte = g->grads + t->offset, *both = malloc(bytes), *before = malloc(bytes);
    memcpy(before, wte, bytes);
    weighted(loss, g, batch, d, 1);
    memcpy(both, wte, bytes);
    /* The embedding's share follows from the gradient of the embedded tokens. */
    real *share = calloc(t->size, sizeof *share),
         *unused = calloc(g->tensors->total, sizeof *unused);
    embedding_backward(share, unused, dropout_active(d) ? g->dln_f : g->dstream, batch->inputs,
                       batch->rows, batch->block_size, g->tensors->config.n_embd);
    for (size_t i = 0; i < t->size; i++)
        wte[i] = embedding ? before[i] + share[i] : both[i] - share[i];
    free(both);
    free(before);
    free(share);
    free(unused);
}

MODEL(output_lost)
{
    half_tied(loss, model, batch, d, true);
}

MODEL(embedding_lost)
{
    half_tied(loss, model, batch, d, false);
}

MODEL(assigned)
{
    struct gpt *g = model;
    zero(g->grads, g->tensors->total);
    weighted(loss, model, batch, d, 1);
}

MODEL(scale_ignored)
{
    weighted(loss, model, batch, d, 1 / batch->weight);
}

MODEL(masks_repeated)
{
    struct dropout same = d ? *d : (struct dropout){0};
    same.first_row = 0;
    weighted(loss, model, batch, &same, 1);
}

MODEL(all_tokens)
{
    size_t count = 0;
    for (size_t n = 0; n < tokens(batch); n++)
        count += batch->targets[n] != NO_TARGET;
    weighted(loss, model, batch, d, (double)count / (double)tokens(batch));
}

MODEL(documents_lost)
{
    struct batch b = *batch;
    b.start = NULL;
    weighted(loss, model, &b, d, 1);
}

const struct model_mistake NAME(model_mistakes)[MODEL_MISTAKES] = {
    {sum, "loss not divided by B T", "the gradient of a sum"},
    {divided_twice, "loss divided by B T twice", "once in the loss, once more in its backward"},
    {targets_shifted, "targets shifted by one", "predicts the token after the next"},
    {output_lost, "tied matrix: output's share lost", "the embedding's backward assigns"},
    {embedding_lost, "tied matrix: embedding's share lost",
     "wte's gradient is taken before the backward reaches the embedding"},
    {assigned, "gradients cleared in the backward", "accumulation keeps the last micro-batch"},
    {scale_ignored, "micro-batches summed", "accumulation without 1/n"},
    {masks_repeated, "every micro-batch the same masks", "the dropout address lacks the row"},
    {all_tokens, "loss divided by B T, not by its targets", "tokens without a target count"},
    {documents_lost, "documents lost on the way",
     "loss and attention of one row, not of its documents"},
};
