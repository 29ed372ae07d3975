/* inspection.c: see reading.h. */
#include "train/lens/inspection.h"
#include "model/lens.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

int inspection_open(struct inspection *r, const char *path, struct error *err)
{
    *r = (struct inspection){0};
    if (model_file_open(&r->file, path, 1, GPT_TRAIN, err))
        return -1;
    const struct model_config *c = &r->file.model.tensors->config;
    const size_t T = c->block_size;
    r->ids = calloc(T + 1, sizeof *r->ids);
    r->losses = malloc(T * sizeof *r->losses);
    r->logits = malloc(T * c->vocab_size * sizeof *r->logits);
    r->gradient = malloc(T * c->n_embd * sizeof *r->gradient);
    r->guesses = malloc(c->vocab_size * sizeof *r->guesses);
    int status = 0;
    if (!r->ids || !r->losses || !r->logits || !r->gradient || !r->guesses)
        status = fail(err, "%s: no memory to look into its model", path);
    else if (!r->file.tokenizer)
        status = fail(err, "%s: has no tokenizer, so it cannot read text", path);
    if (status)
        inspection_close(r);
    return status;
}

void inspection_close(struct inspection *r)
{
    model_file_close(&r->file);
    free(r->ids);
    free(r->losses);
    free(r->logits);
    free(r->weights);
    free(r->gradient);
    free(r->guesses);
    *r = (struct inspection){0};
}

/* A forward that keeps its activations. The last target is no target: its loss is not shown. */
static int forward(struct inspection *r, size_t n, struct error *err)
{
    const struct model_config *c = &r->file.model.tensors->config;
    const struct batch batch = {
        .inputs = r->ids, .targets = r->ids + 1, .weight = 1, .rows = 1, .block_size = n};
    gpt_loss(&r->file.model, &batch, NULL);
    memcpy(r->losses, r->file.model.losses, n * sizeof *r->losses);
    for (size_t t = 0; t < n; t++)
        if (!isfinite(r->losses[t]))
            return fail(err, "the model's loss at position %zu is not finite", t);
    r->losses[n - 1] = NAN;
    if (c->n_head * n * n > r->weights_present) {
        free(r->weights);
        r->weights_present = 0;
        r->weights = malloc(c->n_head * n * n * sizeof *r->weights);
        if (!r->weights)
            return fail(err, "no memory for attention weights of %zu x %zu tokens", n, n);
        r->weights_present = c->n_head * n * n;
    }
    r->T = n;
    return 0;
}

int inspection_take(struct inspection *r, const char *text, size_t length, struct error *err)
{
    const size_t block_size = r->file.model.tensors->config.block_size,
                 vocab_size = r->file.model.tensors->config.vocab_size;
    uint32_t *ids;
    size_t n;
    r->T = 0;
    if (length == 0)
        return fail(err, "the text is empty: expected at least one character");
    if (tokenizer_encode(r->file.tokenizer, text, length, &ids, &n, err))
        return -1;
    int status = 0;
    if (n > block_size)
        status =
            fail(err, "the text has %zu tokens, but the model's block_size is %zu", n, block_size);
    for (size_t i = 0; i < n && status == 0; i++)
        if (ids[i] >= vocab_size)
            status = fail(err, "token %u of the text, but the model has %zu symbols", ids[i],
                          vocab_size);
    if (status == 0) {
        memcpy(r->ids, ids, n * sizeof *ids);
        r->ids[n] = 0;
        status = forward(r, n, err);
    }
    free(ids);
    return status;
}

static int likelier(const void *a, const void *b)
{
    const struct guess *x = a, *y = b;
    if (x->p != y->p)
        return x->p > y->p ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

void inspection_guesses(struct guess *top, float *losses, struct inspection *r, size_t depth,
                        size_t k)
{
    struct gpt *g = &r->file.model;
    const size_t V = g->tensors->config.vocab_size;
    lens_logits(r->logits, g, r->T, depth);
    for (size_t t = 0; t < r->T; t++) {
        const float *z = r->logits + t * V;
        double max = z[0], sum = 0;
        for (size_t v = 1; v < V; v++)
            max = z[v] > max ? z[v] : max;
        for (size_t v = 0; v < V; v++)
            sum += exp(z[v] - max);
        const double lse = max + log(sum);
        for (size_t v = 0; v < V; v++)
            r->guesses[v] = (struct guess){(uint32_t)v, (float)exp(z[v] - lse)};
        qsort(r->guesses, V, sizeof *r->guesses, likelier);
        memcpy(top + t * k, r->guesses, k * sizeof *top);
        losses[t] = t + 1 < r->T ? (float)(lse - z[r->ids[t + 1]]) : NAN;
    }
    if (depth == g->tensors->config.n_layer)
        memcpy(losses, r->losses, r->T * sizeof *losses);
}

void inspection_attention(struct inspection *r, size_t layer)
{
    lens_attention(r->weights, &r->file.model, r->T, layer);
}

void inspection_gradient(struct inspection *r, size_t t)
{
    const struct batch batch = {
        .inputs = r->ids, .targets = r->ids + 1, .weight = 1, .rows = 1, .block_size = r->T};
    lens_gradient(r->gradient, &r->file.model, &batch, t);
}

double inspection_gradient_norm(const struct inspection *r, size_t position)
{
    const size_t C = r->file.model.tensors->config.n_embd;
    double sum = 0;
    for (size_t c = 0; c < C; c++)
        sum += (double)r->gradient[position * C + c] * r->gradient[position * C + c];
    return sqrt(sum);
}

double inspection_gradient_bar(double norm, double largest)
{
    return norm > 0 ? fmin(norm / largest, 1) : 0; /* of infinity by infinity, fmin takes the 1 */
}
