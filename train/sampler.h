/* sampler.h: from logits to the next token. */
#ifndef SAMPLER_H
#define SAMPLER_H

#include <stddef.h>
#include <stdint.h>

struct sampler {
    double temperature; /* 0: the largest logit, the first of equals */
    size_t top_k;       /* only the k likeliest; 0 for all */
    double
        top_p; /* only the likeliest whose probabilities reach p (Holtzman et al. 2020, arXiv:1904.09751); 1 for all */
    uint64_t seed;
    struct candidate {
        float logit;
        uint32_t id;
    } * candidates; /* scratch for V of them */
    size_t V, heap; /* symbols; how many of the candidates are in the heap */
};

/* -1 where memory is short. */
int sampler_create(struct sampler *s, size_t V);
void sampler_destroy(struct sampler *s);

/* The token for logits (V). The random number is a function of (seed, position). */
uint32_t sampler_next(struct sampler *s, const float *logits, uint64_t position);

#endif
