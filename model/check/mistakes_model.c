/* mistakes_model.c: whole models put together wrongly: see mistakes.h. Each takes gpt_loss_and_grads's place and gets one thing
 * wrong. */
#include "model/check/mistakes.h"
#include "model/embedding.h"
#include "model/gpt.h"
#include "model/loss.h"
#include "model/real.h"
#include "model/zero.h"
#include <stdlib.h>
#include <string.h>

#define MODEL(name)                                                                                \
    static acc name(struct gpt *g, const uint32_t *inputs, const uint32_t *targets, size_t B,      \
                    size_t T, double scale, const struct dropout *d)

MODEL(sum)
{
    return gpt_loss_and_grads(g, inputs, targets, B, T, scale * (double)(B * T), d);
}

MODEL(divided_twice)
{
    return gpt_loss_and_grads(g, inputs, targets, B, T, scale / (double)(B * T), d);
}

MODEL(targets_shifted)
{
    uint32_t shifted[B * T];
    for (size_t n = 0; n < B * T; n++)
        shifted[n] = n + 1 < B * T ? targets[n + 1] : inputs[0];
    return gpt_loss_and_grads(g, inputs, shifted, B, T, scale, d);
}

/* The gradient with only one of the two terms of wte: that of the embedding, or that of the output layer. */
static acc half_tied(struct gpt *g, const uint32_t *inputs, const uint32_t *targets, size_t B,
                     size_t T, double scale, const struct dropout *d, bool embedding)
{
    const struct tensor *t = tensors_find(g->tensors, WTE, 0);
    const size_t bytes = t->size * sizeof(real);
    real *wte = g->grads + t->offset, *both = malloc(bytes), *before = malloc(bytes);
    memcpy(before, wte, bytes);
    const acc loss = gpt_loss_and_grads(g, inputs, targets, B, T, scale, d);
    memcpy(both, wte, bytes);
    /* The embedding's share, from the gradient that the model left of what it embedded. */
    real *share = calloc(t->size, sizeof *share),
         *unused = calloc(g->tensors->total, sizeof *unused);
    embedding_backward(share, unused, dropout_active(d) ? g->dln_f : g->dstream, inputs, B, T,
                       g->tensors->config.n_embd);
    for (size_t i = 0; i < t->size; i++)
        wte[i] = embedding ? before[i] + share[i] : both[i] - share[i];
    free(both);
    free(before);
    free(share);
    free(unused);
    return loss;
}

MODEL(output_lost)
{
    return half_tied(g, inputs, targets, B, T, scale, d, true);
}

MODEL(embedding_lost)
{
    return half_tied(g, inputs, targets, B, T, scale, d, false);
}

MODEL(assigned)
{
    zero(g->grads, g->tensors->total);
    return gpt_loss_and_grads(g, inputs, targets, B, T, scale, d);
}

MODEL(scale_ignored)
{
    (void)scale;
    return gpt_loss_and_grads(g, inputs, targets, B, T, 1, d);
}

MODEL(masks_repeated)
{
    struct dropout same = d ? *d : (struct dropout){0};
    same.first_row = 0;
    return gpt_loss_and_grads(g, inputs, targets, B, T, scale, &same);
}

MODEL(all_tokens)
{
    size_t count = 0;
    for (size_t n = 0; n < B * T; n++)
        count += targets[n] != NO_TARGET;
    return gpt_loss_and_grads(g, inputs, targets, B, T, scale * (double)count / (double)(B * T), d);
}

MODEL(documents_lost)
{
    const uint32_t *start = g->start;
    g->start = NULL;
    const acc loss = gpt_loss_and_grads(g, inputs, targets, B, T, scale, d);
    g->start = start;
    return loss;
}

op_function *const NAME(model_mistakes)[MODEL_MISTAKES] = {
    [MODEL_SUM] = (op_function *)sum,
    [MODEL_DIVIDED_TWICE] = (op_function *)divided_twice,
    [MODEL_TARGETS_SHIFTED] = (op_function *)targets_shifted,
    [MODEL_OUTPUT_LOST] = (op_function *)output_lost,
    [MODEL_EMBEDDING_LOST] = (op_function *)embedding_lost,
    [MODEL_ASSIGNED] = (op_function *)assigned,
    [MODEL_SCALE_IGNORED] = (op_function *)scale_ignored,
    [MODEL_MASKS_REPEATED] = (op_function *)masks_repeated,
    [MODEL_ALL_TOKENS] = (op_function *)all_tokens,
    [MODEL_DOCUMENTS_LOST] = (op_function *)documents_lost,
};
