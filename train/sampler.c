/* sampler.c: see sampler.h. A token is drawn by inverting the cumulative distribution over the
 * tokens that top_k and top_p leave, in descending order of probability. Since few tokens of a
 * vocabulary are needed, they are not sorted but taken from a heap (Williams 1964). Equal logits
 * are ordered by id, so that the same seed gives the same text on every machine. */
#include "train/sampler.h"
#include "model/philox.h"
#include <math.h>
#include <stdbool.h>
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

static bool is_likelier(const struct candidate *x, const struct candidate *y)
{
    return x->logit != y->logit ? x->logit > y->logit : x->id < y->id;
}

/* Restores the heap of n candidates below position i. */
static void sift_down(struct candidate *heap, size_t n, size_t i)
{
    const struct candidate c = heap[i];
    for (size_t child = 2 * i + 1; child < n; i = child, child = 2 * i + 1) {
        if (child + 1 < n && is_likelier(&heap[child + 1], &heap[child]))
            child++;
        if (!is_likelier(&heap[child], &c))
            break;
        heap[i] = heap[child];
        heap[child] = c;
    }
}

static void build_heap(struct sampler *s, const float *logits)
{
    for (size_t i = 0; i < s->V; i++)
        s->candidates[i] = (struct candidate){logits[i], i};
    for (size_t i = s->V / 2; i-- > 0;)
        sift_down(s->candidates, s->V, i);
    s->in_heap = s->V;
}

/* The i-th most likely candidate, counted from 0. Candidates taken from the heap are stored behind
 * it, the last one first. */
static const struct candidate *likeliest(struct sampler *s, size_t i)
{
    while (s->V - s->in_heap <= i) {
        const struct candidate first = s->candidates[0];
        s->candidates[0] = s->candidates[--s->in_heap];
        s->candidates[s->in_heap] = first;
        sift_down(s->candidates, s->in_heap, 0);
    }
    return &s->candidates[s->V - 1 - i];
}

static uint32_t greedy(const float *logits, size_t V)
{
    size_t best = 0;
    for (size_t i = 1; i < V; i++)
        if (logits[i] > logits[best])
            best = i;
    return best;
}

/* Uniform in [0, 1). */
static double uniform(uint64_t seed, uint64_t position)
{
    uint32_t c[4] = {position, position >> 32, 0, 0x73616d70}; /* "samp" */
    philox4x32(c, seed, seed >> 32);
    return ((uint64_t)c[0] << 21 ^ c[1] >> 11) * 0x1p-53;
}

/* The probability of a candidate, not normalised. */
static double weight(const struct sampler *s, const struct candidate *c, double top)
{
    return exp((c->logit - top) / s->temperature);
}

uint32_t sampler_next(struct sampler *s, const float *logits, uint64_t position)
{
    if (s->temperature == 0)
        return greedy(logits, s->V);
    build_heap(s, logits);
    const size_t k = s->top_k && s->top_k < s->V ? s->top_k : s->V;
    const double top = s->candidates[0].logit;
    double total = 0, kept = 0;
    for (size_t i = 0; i < k; i++)
        total += weight(s, k < s->V ? likeliest(s, i) : &s->candidates[i], top);
    size_t n = s->top_p < 1 ? 0 : k;
    while (n < k && (n == 0 || kept < s->top_p * total))
        kept += weight(s, likeliest(s, n++), top);
    double left = uniform(s->seed, position) * (s->top_p < 1 ? kept : total);
    for (size_t i = 0; i < n; i++) {
        left -= weight(s, likeliest(s, i), top);
        if (left < 0)
            return likeliest(s, i)->id;
    }
    return likeliest(s, n - 1)->id;
}
