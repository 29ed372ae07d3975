/* inspection.c: see inspection.h. */
#include "train/lens/inspection.h"
#include "base/minmax.h"
#include "model/lens.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* See arena.h. */
static void layout(struct inspection *in)
{
    const size_t T = in->config->block_size, C = in->config->n_embd, V = in->config->vocab_size;
    in->ids = arena_take(&in->arena, T + 1, sizeof *in->ids);
    in->top_losses = arena_take(&in->arena, T, sizeof *in->top_losses);
    in->gradient = arena_take(&in->arena, T * C, sizeof *in->gradient);
    in->norms = arena_take(&in->arena, T, sizeof *in->norms);
    in->logits = arena_take(&in->arena, T * V, sizeof *in->logits);
    in->sorted = arena_take(&in->arena, V, sizeof *in->sorted);
}

int inspection_open(struct inspection *in, const char *path, struct error *err)
{
    *in = (struct inspection){0};
    if (model_file_open(&in->file, path, 1, GPT_TRAIN, err))
        return -1;
    in->config = &in->file.model.tensors->config;
    layout(in);
    int status = 0;
    if (arena_allocate(&in->arena))
        status = fail(err, "%s: no memory to inspect its model", path);
    else if (!in->file.tokenizer)
        status = fail(err, "%s: has no tokenizer, so it cannot read text", path);
    if (status)
        inspection_close(in);
    else
        layout(in);
    return status;
}

void inspection_close(struct inspection *in)
{
    model_file_close(&in->file);
    arena_free(&in->arena);
    free(in->top);
    free(in->weights);
    *in = (struct inspection){0};
}

static struct batch text_batch(const struct inspection *in, size_t n)
{
    return (struct batch){
        .inputs = in->ids, .targets = in->ids + 1, .weight = 1, .rows = 1, .block_size = n};
}

/* Runs the model on in->ids and keeps its activations. The target of the last position is the zero
 * that follows the text; this loss is ignored. */
static int forward(struct inspection *in, size_t n, struct error *err)
{
    const struct batch batch = text_batch(in, n);
    gpt_loss(&in->file.model, &batch, NULL);
    in->losses = in->file.model.losses;
    for (size_t t = 0; t < n; t++)
        if (!isfinite(in->losses[t]))
            return fail(err, "the model's loss at position %zu is not finite", t);
    free(in->weights);
    in->weights = malloc(in->config->n_head * n * n * sizeof *in->weights);
    if (!in->weights)
        return fail(err, "no memory for attention weights of %zu x %zu tokens", n, n);
    in->T = n;
    return 0;
}

int inspection_run(struct inspection *in, const char *text, size_t length, struct error *err)
{
    const size_t block_size = in->config->block_size, V = in->config->vocab_size;
    uint32_t *ids;
    size_t n;
    in->T = 0;
    if (length == 0)
        return fail(err, "the text is empty: expected at least one character");
    if (tokenizer_encode(in->file.tokenizer, text, length, false, &ids, &n, err))
        return -1;
    int status = 0;
    in->omitted = n - size_min(n, block_size);
    n -= in->omitted;
    const uint32_t *last = ids + in->omitted;
    for (size_t i = 0; i < n && status == 0; i++)
        if (last[i] >= V)
            status =
                fail(err, "the text has token %u, but the model's vocabulary has %zu", last[i], V);
    if (status == 0) {
        memcpy(in->ids, last, n * sizeof *ids);
        in->ids[n] = 0;
        status = forward(in, n, err);
    }
    free(ids);
    return status;
}

static int more_likely(const void *a, const void *b)
{
    const struct prediction *x = a, *y = b;
    if (x->p != y->p)
        return x->p > y->p ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

/* The k most likely tokens, and the loss of `next`, from logits (V). */
static float predict(struct inspection *in, const float *logits, uint32_t next,
                     struct prediction *top, size_t k)
{
    const size_t V = in->config->vocab_size;
    double max = logits[0], sum = 0;
    for (size_t v = 1; v < V; v++)
        max = logits[v] > max ? logits[v] : max;
    for (size_t v = 0; v < V; v++)
        sum += exp(logits[v] - max);
    const double log_sum = max + log(sum);
    for (size_t v = 0; v < V; v++)
        in->sorted[v] = (struct prediction){v, exp(logits[v] - log_sum)};
    qsort(in->sorted, V, sizeof *in->sorted, more_likely);
    memcpy(top, in->sorted, k * sizeof *top);
    return log_sum - logits[next];
}

int inspection_predict(struct inspection *in, size_t depth, size_t k, struct error *err)
{
    const size_t T = in->T;
    struct prediction *top = realloc(in->top, T * k * sizeof *top);
    if (!top)
        return fail(err, "no memory for %zu predictions at each of %zu tokens", k, T);
    in->top = top;
    lens_logits(in->logits, &in->file.model, T, depth);
    for (size_t t = 0; t < T; t++)
        in->top_losses[t] =
            predict(in, in->logits + t * in->config->vocab_size, in->ids[t + 1], top + t * k, k);
    if (depth == in->config->n_layer)
        memcpy(in->top_losses, in->losses, T * sizeof *in->losses);
    in->top_losses[T - 1] = NAN;
    double sum = 0;
    for (size_t t = 0; t + 1 < T; t++)
        sum += in->top_losses[t];
    in->mean_loss = T > 1 ? sum / (T - 1) : NAN;
    return 0;
}

void inspection_attention(struct inspection *in, size_t layer)
{
    lens_attention(in->weights, &in->file.model, in->T, layer);
}

void inspection_gradient(struct inspection *in, size_t position)
{
    const size_t C = in->config->n_embd;
    const struct batch batch = text_batch(in, in->T);
    lens_gradient(in->gradient, &in->file.model, &batch, position);
    for (size_t t = 0; t < in->T; t++) {
        double sum = 0;
        for (size_t c = 0; c < C; c++)
            sum += (double)in->gradient[t * C + c] * in->gradient[t * C + c];
        in->norms[t] = sqrt(sum);
    }
}

double inspection_bar(const struct inspection *in, size_t t)
{
    double largest = 0;
    for (size_t i = 0; i < in->T; i++)
        largest = fmax(largest, in->norms[i]);
    return in->norms[t] > 0 ? fmin(in->norms[t] / largest, 1) : 0; /* 1 if both are infinite */
}

size_t inspection_token(char shown[PRINTABLE_MAX], const struct inspection *in, uint32_t id,
                        size_t columns)
{
    size_t n;
    const char *bytes = tokenizer_bytes(in->file.tokenizer, id, &n);
    return printable(shown, bytes, n, columns);
}

const char *inspection_depth_name(char name[32], size_t depth)
{
    snprintf(name, 32, depth ? "h.%zu" : "embedding", depth - 1);
    return name;
}
