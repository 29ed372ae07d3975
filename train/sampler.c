/* sampler.c: see sampler.h. Candidates are sorted from the likeliest down, cut, and one is drawn by the inverse of the
 * cumulative distribution. Equal logits are ordered by id, so that the same seed writes the same text everywhere. */
#include "sampler.h"
#include "../model/philox.h"
#include <math.h>
#include <stdlib.h>

int sampler_create(struct sampler *s, size_t V)
{
    *s = (struct sampler){.temperature = 1, .top_p = 1, .V = V};
    s->candidates = malloc(V * sizeof *s->candidates);
    return s->candidates ? 0 : -1;
}

void sampler_destroy(struct sampler *s)
{
    free(s->candidates);
    s->candidates = NULL;
}

static int likelier(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return x->id < y->id ? -1 : 1;
}

static uint32_t greedy(const float *logits, size_t V)
{
    size_t best = 0;
    for (size_t i = 1; i < V; i++)
        if (logits[i] > logits[best])
            best = i;
    return (uint32_t)best;
}

/* Uniform in [0, 1). */
static double uniform(uint64_t seed, uint64_t position)
{
    uint32_t c[4] = {(uint32_t)position, (uint32_t)(position >> 32), 0, 0x73616d70}; /* "samp" */
    philox4x32(c, (uint32_t)seed, (uint32_t)(seed >> 32));
    return (double)((uint64_t)c[0] << 21 ^ c[1] >> 11) * 0x1p-53;
}

uint32_t sampler_next(struct sampler *s, const float *logits, uint64_t position)
{
    if (s->temperature == 0)
        return greedy(logits, s->V);
    for (size_t i = 0; i < s->V; i++)
        s->candidates[i] = (struct candidate){logits[i], (uint32_t)i};
    qsort(s->candidates, s->V, sizeof *s->candidates, likelier);
    const size_t k = s->top_k && s->top_k < s->V ? s->top_k : s->V;
    const double top = s->candidates[0].logit;
    double total = 0, kept = 0;
    for (size_t i = 0; i < k; i++)
        total += exp((s->candidates[i].logit - top) / s->temperature);
    size_t n = 0;
    while (n < k && (n == 0 || kept < s->top_p * total))
        kept += exp((s->candidates[n++].logit - top) / s->temperature);
    double left = uniform(s->seed, position) * kept;
    for (size_t i = 0; i < n; i++) {
        left -= exp((s->candidates[i].logit - top) / s->temperature);
        if (left < 0)
            return s->candidates[i].id;
    }
    return s->candidates[n - 1].id;
}
